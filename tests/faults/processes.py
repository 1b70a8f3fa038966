"""The processes of a running Snakemake: find them, wait for them, kill them from within."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

DEADLINE_SECONDS = 120


def scripts(snakemake: subprocess.Popen) -> list[int]:
    """Ids of the pipeline's scripts that run in Snakemake's jobs."""
    found = []
    for process in psutil.Process(snakemake.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(argument.startswith("src/") for argument in process.cmdline()[:2]):
                found.append(process.pid)
    return found


def ends_within(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def has_ended(process: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit status."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {DEADLINE_SECONDS} seconds"
        time.sleep(0.05)


def trap(rule: str, moment: str, n: int) -> dict[str, str]:
    """Variables with which the rule's script is killed the n-th time that it comes to the moment; see sitecustomize.py."""
    return {"PYTHONPATH": str(Path(__file__).parent / "trap"), "TRAP": f"src/{rule}.py|{moment}|{n}"}
