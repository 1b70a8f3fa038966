import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stopping import SIGNALS, WhyStop

SOURCE = Path(__file__).parents[2] / "src"
JOB = """
import time
from pathlib import Path
from cli.stopping import WhyStop, end_with_snakemake
with WhyStop() as why_stop:
    end_with_snakemake()
    Path("waiting").touch()
    deadline = time.monotonic() + {seconds}
    while not why_stop() and time.monotonic() < deadline:
        time.sleep(0.01)
print(why_stop())
"""


@pytest.fixture(autouse=True)
def default_signals() -> Iterator[None]:
    """Under nohup, or in a background job, some are ignored."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nothing_is_a_reason_at_first() -> None:
    with WhyStop() as why_stop:
        assert why_stop() is None


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_and_does_not_end_the_process(number: signal.Signals) -> None:
    with WhyStop() as why_stop:
        os.kill(os.getpid(), number)
        assert why_stop() == number.name
        os.kill(os.getpid(), signal.SIGTERM)
        assert why_stop() == number.name, "it stays the first"


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


def job_of(snakemake: str, folder: Path, seconds: float) -> subprocess.CompletedProcess:
    """What a job says that a shell starts in Snakemake's place; `$job` starts it, and it waits so many seconds at most."""
    job = f"{shlex.quote(sys.executable)} -c {shlex.quote(JOB.format(seconds=seconds))}"
    return subprocess.run(
        ["bash", "-c", snakemake.replace("$job", job)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "snakemake",
    [
        "SNAKEMAKE_PID=$$ $job & until test -e waiting; do sleep 0.1; done",
        "(sleep 1; SNAKEMAKE_PID=$$ exec $job) &",
    ],
    ids=["while it works", "before it has started"],
)
def test_the_end_of_snakemake_is_a_signal(snakemake: str, tmp_path: Path) -> None:
    result = job_of(snakemake, tmp_path, seconds=60)
    assert result.stdout == "SIGTERM\n", result.stderr
    assert result.stderr == "The Snakemake that started this is gone.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_cannot_be_written_does_not_keep_a_job_alive(tmp_path: Path) -> None:
    result = job_of("SNAKEMAKE_PID=1 $job 2>/dev/full", tmp_path, seconds=60)
    assert result.stdout == "SIGTERM\n"


@pytest.mark.parametrize(
    "snakemake",
    ["SNAKEMAKE_PID=$$ $job & wait", "$job & until test -e waiting; do sleep 0.1; done"],
    ids=["a Snakemake that lives", "a parent that was none"],
)
def test_otherwise_nothing_ends_it(snakemake: str, tmp_path: Path) -> None:
    result = job_of(snakemake, tmp_path, seconds=2)
    assert (result.stdout, result.stderr) == ("None\n", "")
