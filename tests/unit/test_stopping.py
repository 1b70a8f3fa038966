import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advtrain.stopping import SIGNALS, WhyStop

SOURCE = Path(__file__).parents[2] / "src"
LEFT_BEHIND = """
import os, sys, time
from advtrain.stopping import WhyStop
with WhyStop() as why_stop:
    assert why_stop() is None
    if os.fork():
        time.sleep(0.2)
        os._exit(0)
with WhyStop() as why_stop:
    deadline = time.monotonic() + 20
    while not (reason := why_stop()) and time.monotonic() < deadline:
        time.sleep(0.01)
    print(reason)
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


def test_the_end_of_the_parent_is_a_reason() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND], env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True
    )
    assert result.stdout == "the process that started it is gone\n", result.stderr
