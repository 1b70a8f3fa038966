"""Workspaces: two where much has run, copies to edit, and empty ones."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from workspace import TITLES, Workspace, make_workspace

Shared = Callable[[str, Callable[[Path], object]], Workspace]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "workflow")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shared:
    """Make a workspace once for all processes of a parallel test run: the first that needs it makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def get(name: str, make: Callable[[Path], object]) -> Workspace:
        folder = base / name
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                make(folder / "workflow")
                (folder / "made").touch()
        assert (folder / "made").exists(), f"{folder} could not be made; the first test that asked for it says why"
        return Workspace(folder / "workflow")

    return get


@pytest.fixture(scope="session")
def finished_run(shared: Shared) -> Workspace:
    """A workspace in which `all` has run to the end; tests that change it take `finished`."""

    def make(folder: Path) -> None:
        result = make_workspace(folder).make("--", "all")
        (folder / "stdout").write_text(result.stdout)

    return shared("finished", make)


@pytest.fixture
def finished(finished_run: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace, times of change and Snakemake's records included."""
    shutil.copytree(finished_run.folder, tmp_path / "workflow", symlinks=True)
    return Workspace(tmp_path / "workflow")


@pytest.fixture(scope="session")
def own_run(shared: Shared, finished_run: Workspace) -> Workspace:
    """A copy of it in which a user's configuration has run too: one data set, other titles, and all rules."""

    def make(folder: Path) -> None:
        shutil.copytree(finished_run.folder, folder, symlinks=True)
        own = {"only": {"datasets": ["mnist"]}, "variants": {"defenses": ["proposed"]}, **TITLES}
        (folder / "config" / "own.yaml").write_text(yaml.safe_dump(own))
        asked = ("all", "variants", "ablation", "budgets", "ladder", "successors")
        copies = ("publish", "publish_variants", "publish_ablation", "publish_budgets", "publish_ladder", "publish_successors")
        Workspace(folder).make("--configfile", "config/tiny.yaml", "config/own.yaml", "--", *asked, *copies)
        Workspace(folder).make("--configfile", "config/tiny.yaml", "config/own.yaml", "--report", "report.html", "--", *asked)

    return shared("own", make)
