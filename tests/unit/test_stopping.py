import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advtrain.stopping import SIGNALS, WhyStop

SOURCE = Path(__file__).parents[2] / "src"
STARTED = """
import os, sys, time
from advtrain.stopping import WhyStop, end_with_parent
end_with_parent()
with WhyStop() as why_stop:
    deadline = time.monotonic() + {seconds}
    while not why_stop() and time.monotonic() < deadline:
        time.sleep(0.01)
print(why_stop())
"""


def test_nothing_is_a_reason_at_first() -> None:
    with WhyStop() as why_stop:
        assert why_stop() is None


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_and_does_not_end_the_process(number: signal.Signals) -> None:
    with WhyStop() as why_stop:
        os.kill(os.getpid(), number)
        assert why_stop() == number.name
        assert why_stop() == number.name, "it stays one"


def test_afterwards_the_signals_are_what_they_were() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with WhyStop():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As SIGHUP is under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with WhyStop() as why_stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert why_stop() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def started_by(parent: str, seconds: float) -> subprocess.CompletedProcess:
    """What is said by a process that a shell starts, and then does `parent`."""
    program = shlex.quote(STARTED.format(seconds=seconds))
    return subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -c {program} & {parent}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_end_of_the_parent_is_a_signal() -> None:
    result = started_by("sleep 0.5", seconds=30)
    assert result.stdout == "SIGTERM\n", result.stderr
    assert result.stderr == "The process that started this one is gone.\n"


def test_a_parent_that_lives_is_none() -> None:
    result = started_by("wait", seconds=2)
    assert (result.stdout, result.stderr) == ("None\n", "")
