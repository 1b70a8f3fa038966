"""What the fault tests share: workspaces, and a count of what was survived and tried, summed up at the end of the run."""

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from counting import Count
from workspace import Workspace, make_workspace

COUNTED = "counted: "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=12, help="Kills at random moments.")


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


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Counts for the summary: `count("kills survived", 1)`. Those of a test count only if it passes."""
    return lambda what, number: record_property(COUNTED + what, number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests have counted, in the workers of a parallel run too."""
    totals: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, number in report.user_properties if report.when == "call" else ():
            if name.startswith(COUNTED):
                totals[name.removeprefix(COUNTED)] += number
    if totals:
        terminalreporter.section("faults")
        for what, number in sorted(totals.items()):
            terminalreporter.write_line(f"{number:8,} {what}")
