"""What docs/cluster.md tells people to type and expects of the rules is true; what it promises of Slurm is in tests/faults."""

import re
import shlex
from pathlib import Path

import pytest

from workspace import Workspace

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "cluster.md").read_text()
COMMANDS = re.findall(r"^snakemake (.*)$", PAGE, re.MULTILINE)
TESTS = (REPOSITORY / "tests" / "faults" / "test_slurm.py").read_text()
RULES = "".join(file.read_text() for file in (REPOSITORY / "rules").glob("*.smk"))


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--report" not in command])
def test_snakemake_takes_the_command_as_a_dry_run(command: str, workspace: Workspace) -> None:
    assert "This was a dry-run" in workspace.plan(*shlex.split(command))


def test_the_table_is_what_the_jobs_ask_for(workspace: Workspace) -> None:
    """A rule's jobs are submitted unless it says `localrule`; every one of them asks for a GPU."""
    submitted = [
        rule for rule, text in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", RULES, re.M | re.S) if "localrule" not in text
    ]
    planned = workspace.plan("--workflow-profile", "profiles/slurm", "--", "all")
    jobs: dict[str, list[str]] = {rule: [] for rule in submitted}
    for rule, resources in re.findall(r"^rule (\w+):.*?^    resources: (.*?)$", planned, re.M | re.S):
        if rule in jobs:
            jobs[rule].append(resources)
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) GB[^|]*\| (\d+) h \|$", PAGE, re.MULTILINE)
    assert {rule: int(number) for rule, number, _, _ in rows} == {rule: len(each) for rule, each in jobs.items()}
    for rule, _, gigabytes, hours in rows:
        for resources in jobs[rule]:
            assert {f"mem_mb={gigabytes}000", f"runtime={60 * int(hours)}", "gpu=1"} <= set(resources.split(", "))
    assert f"{sum(int(number) * int(hours) for _, number, _, hours in rows)} GPU hours" in PAGE
    assert f"{sum(int(number) for _, number, _, _ in rows)} jobs" in PAGE


def test_every_promise_names_a_test_that_is_there() -> None:
    named = re.findall(r"\| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    assert sorted(named) == sorted(re.findall(r"^def (test_\w+)", TESTS, re.MULTILINE))
