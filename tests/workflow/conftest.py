"""Workspaces: one where everything has run, copies of it to edit, and empty ones."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from workspace import Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "workflow")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Workspace:
    """A workspace in which `all` has run to the end; tests that change it take `finished`.

    The processes of a parallel test run share it: the first that needs it makes it, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    folder = (shared if worker_id == "master" else shared.parent) / "finished" / "workflow"
    with FileLock(folder.parent.with_suffix(".lock")):
        if folder.exists():
            workspace = Workspace(folder)
        else:
            workspace = make_workspace(folder)
            result = workspace.snakemake("--cores", "2", "--", "all")
            (folder / "stdout").write_text(result.stdout)
            (folder / "stderr").write_text(result.stderr)
    assert "100%" in (folder / "stderr").read_text(), (folder / "stderr").read_text()[-5000:]
    return workspace


@pytest.fixture
def finished(finished_run: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace, times of change and Snakemake's records included."""
    shutil.copytree(finished_run.folder, tmp_path / "workflow", symlinks=True)
    return Workspace(tmp_path / "workflow")
