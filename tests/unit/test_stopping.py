import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advtrain.results.code import SRC
from cli.stopping import SIGNALS, noting_signals

JOB = """
import pathlib, sys, time
from cli.command import Command
from cli.stopping import noting_signals

def main():
    with noting_signals() as why_stop:
        pathlib.Path("waiting").touch()
        deadline = time.monotonic() + int(sys.argv[1])
        while not why_stop() and time.monotonic() < deadline:
            time.sleep(0.01)
    print(why_stop())

Command("main", callback=main)([])
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["heeded", "ignored, as under nohup"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_unless_it_is_ignored(number: signal.Signals, ignored: bool) -> None:
    handler = signal.SIG_IGN if ignored else signal.default_int_handler
    before = {other: signal.signal(other, handler) for other in SIGNALS}
    try:
        with noting_signals() as why_stop:
            assert why_stop() is None
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
            assert why_stop() == (None if ignored else number.name), "it stays the first"
        assert all(signal.getsignal(other) == handler for other in SIGNALS)
    finally:
        for other, former in before.items():
            signal.signal(other, former)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize(
    ("parent", "seconds", "reason"),
    [("until test -e waiting || ! kill -0 $!; do sleep 0.1; done; kill -9 $$", 60, "SIGTERM"), ("wait", 1, "None")],
    ids=["a parent that is killed", "a parent that lives"],
)
def test_a_script_gets_sigterm_when_its_parent_dies(parent: str, seconds: int, reason: str, tmp_path: Path) -> None:
    """The parent is a shell in Snakemake's place."""
    job = f"{shlex.quote(sys.executable)} -c {shlex.quote(JOB)} {seconds}"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = ["bash", "-c", f"{job} & {parent}"]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout == f"{reason}\n", result.stderr
