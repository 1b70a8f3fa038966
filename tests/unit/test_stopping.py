import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advtrain.results.code import SRC
from cli.stopping import SIGNALS, WhyStop

JOB = """
import sys, time
import click
from cli.command import Command
from cli.stopping import WhyStop

@click.command(cls=Command)
@click.argument("seconds", type=int)
def main(seconds):
    with WhyStop() as why_stop:
        Path("waiting").touch()
        deadline = time.monotonic() + seconds
        while not why_stop() and time.monotonic() < deadline:
            time.sleep(0.01)
    print(why_stop())

main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_unless_it_is_ignored_and_does_not_end_the_process(number: signal.Signals) -> None:
    """SIGHUP is ignored under nohup, SIGINT in a background job."""
    for handler, reason in ((signal.default_int_handler, number.name), (signal.SIG_IGN, None)):
        before = signal.signal(number, handler)
        try:
            with WhyStop() as why_stop:
                assert why_stop() is None
                os.kill(os.getpid(), number)
                assert why_stop() == reason
                os.kill(os.getpid(), signal.SIGTERM)
                assert why_stop() == (reason or ("SIGTERM" if number != signal.SIGTERM else None)), "it stays the first"
            assert signal.getsignal(number) == handler
        finally:
            signal.signal(number, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize(
    ("parent", "seconds", "reason"),
    [("until test -e waiting; do sleep 0.1; done; kill -9 $$", 60, "SIGTERM"), ("wait", 1, "None")],
    ids=["a parent that is killed", "a parent that lives"],
)
def test_a_script_gets_sigterm_when_its_parent_dies(parent: str, seconds: int, reason: str, tmp_path: Path) -> None:
    """The parent is a shell in Snakemake's place."""
    job = f"{shlex.quote(sys.executable)} -c {shlex.quote(JOB)} {seconds}"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = ["bash", "-c", f"{job} & {parent}"]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout == f"{reason}\n", result.stderr
