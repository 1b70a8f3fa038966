"""Titles, names and targets are text, whatever they look like: nothing that they say runs, and nothing lands elsewhere."""

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from workspace import REPOSITORY, TITLES, Workspace

DATASET = TITLES["datasets"]["mnist"]["title"]
DEFENSES = [entry["title"] for entry in TITLES["defenses"].values()]
OWN_PICTURE = '<img alt="Robustness and price" src="data:image/svg+xml,'
WRITTEN = ("results/tiny", "data", ".snakemake", "docs/results/tiny", "report.html", "config/own.yaml", "stdout")
"""Where a run may write, below its folder, and what the test itself has put there."""


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but for those that a run may write, and what Python keeps compiled."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes() for name, path in found.items() if not name.startswith(WRITTEN) and "__pycache__" not in name
    }


def assert_nothing_evil(workspace: Workspace) -> None:
    """No command that some text has in it has run: each would have made a file of this name."""
    assert not list(workspace.folder.parent.rglob("evil*"))
    for folder in (REPOSITORY, Path.cwd(), Path.home(), Path("/tmp")):
        assert not (folder / "evil").exists()


def test_a_run_with_commands_and_markup_in_titles_runs_none_and_leaves_nothing_outside_its_folders(
    own_run: Workspace, finished_run: Workspace
) -> None:
    assert_nothing_evil(own_run)
    assert files_in(own_run.folder) == files_in(finished_run.folder)


def test_tables_and_figures_show_titles_as_they_are(own_run: Workspace) -> None:
    table = pd.read_csv(own_run.results / "table1.csv")
    assert list(table["title"].unique()) == DEFENSES
    assert DATASET in set(table["group"])
    for page in ("table1", "audit", "against_paper", "differences"):
        text = (own_run.results / f"{page}.html").read_text()
        assert not re.search(r"<(script|img)", text), page
        words = html.unescape(re.sub(r"<[^>]*>", "\n", text))
        assert all(title in words for title in (DATASET, *DEFENSES)), page
        markdown = (own_run.results / f"{page}.md").read_text()
        assert not re.search(r"(?<!\\)<(script|img|/)", markdown), page
    assert r"\input" not in (own_run.results / "table1.tex").read_text()
    for figure in ("figure1", "table1_bars", "histories", "transfer"):
        picture = (own_run.results / f"{figure}.svg").read_text()
        texts = html.unescape("\n".join(re.findall("<!-- (.*?) -->", picture)))
        assert all(title in texts for title in (DATASET, *DEFENSES)), figure
        assert "Oblique" not in picture, "no letter of a formula"
        assert "<script" not in picture


def test_the_report_shows_titles_and_runs_its_own_scripts_only(own_run: Workspace) -> None:
    text = (own_run.folder / "report.html").read_text()
    assert "alert(1)</script>" not in text
    assert "<img src=x" not in text
    (described,) = re.findall(r"var workflow_desc = (\".*\");", text)
    assert re.findall(r"<script|<img[^,]*,|System Message", json.loads(described)) == [OWN_PICTURE]


@pytest.mark.parametrize("target", ["results/tiny/mnist/../../../evil.parquet", "results/tiny/$(touch evil)/proposed.parquet"])
def test_a_target_that_no_rule_makes_is_refused(target: str, workspace: Workspace) -> None:
    before = files_in(workspace.folder)
    result = workspace.snakemake("--cores", "1", "--", target)
    assert result.returncode != 0
    assert "nothing makes it" in result.stderr
    assert files_in(workspace.folder) == before
    assert_nothing_evil(workspace)
