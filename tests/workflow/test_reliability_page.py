"""docs/reliability.md promises nothing without a test."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "reliability.md").read_text()
PROMISES = PAGE.partition("## Figures")[0].splitlines()
ROWS = [line for line in PROMISES if line.startswith("| ") and not line.startswith(("| promise |", "| --- |"))]


@pytest.mark.parametrize("row", ROWS)
def test_every_promise_names_tests_that_are_there(row: str) -> None:
    _, file, named = re.fullmatch(r"\| (.*) \| \[.*\]\(\.\./(tests/.*\.py)\) ((?:`test_\w+` ?)+)\|", row).groups()
    tests = re.findall(r"^ *def (test_\w+)", (REPOSITORY / file).read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", named)) <= set(tests)


def test_every_file_of_fault_tests_is_on_the_page() -> None:
    files = {file.name for file in (REPOSITORY / "tests" / "faults").glob("test_*.py")} - {"test_slurm.py"}
    assert files == {Path(file).name for file in re.findall(r"\(\.\./tests/faults/(.*?)\)", PAGE)}
