"""Workspaces: one where everything has run, copies of it to edit, and empty ones."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from workspace import Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "workflow")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which `all` has run to the end; tests that change it take `finished`."""
    workspace = make_workspace(tmp_path_factory.mktemp("finished") / "workflow")
    result = workspace.snakemake("--cores", "2", "--", "all")
    (workspace.folder / "stdout").write_text(result.stdout)
    assert result.returncode == 0, result.stderr[-5000:]
    return workspace


@pytest.fixture
def finished(finished_run: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the finished workspace, times of change and Snakemake's records included."""
    shutil.copytree(finished_run.folder, tmp_path / "workflow", symlinks=True)
    yield Workspace(tmp_path / "workflow")
