"""The workspace of the fault tests."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from workspace import Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A test that fails halfway leaves no Snakemake behind."""
    workspace = make_workspace(tmp_path / "workflow")
    yield workspace
    for process in workspace.started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
