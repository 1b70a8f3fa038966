"""What the fault tests share: a workspace, and nothing left running."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from workspace import Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "workflow")


@pytest.fixture(autouse=True)
def nothing_left_running(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that fails halfway leaves no Snakemake behind."""
    started: list[subprocess.Popen] = []
    start = Workspace.start

    def remembered(self: Workspace, *arguments: str, **environment: str) -> subprocess.Popen:
        started.append(start(self, *arguments, **environment))
        return started[-1]

    monkeypatch.setattr(Workspace, "start", remembered)
    yield
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
