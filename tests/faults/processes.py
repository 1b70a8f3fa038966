"""The processes of a running Snakemake: find them, wait for them, kill them from within."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_SECONDS = 120


def descendants(process: int) -> dict[int, str]:
    """Command lines of all processes that a process has started, and those have started, by their ids."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    processes = [line.split(maxsplit=2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    for pid, parent, command in processes:
        if int(parent) == process:
            found |= {int(pid): command} | descendants(int(pid))
    return found


def scripts(snakemake: subprocess.Popen) -> list[int]:
    """Ids of the pipeline's scripts that run in Snakemake's jobs."""
    return [pid for pid, command in descendants(snakemake.pid).items() if command.startswith("python3 src/")]


def ends_within(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def has_ended(process: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit status."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False).stdout
    return not status.strip() or status.startswith("Z")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {DEADLINE_SECONDS} seconds"
        time.sleep(0.05)


def trap(rule: str, moment: str, n: int) -> dict[str, str]:
    """Variables with which the rule's script is killed the n-th time that it comes to the moment; see sitecustomize.py."""
    return {"PYTHONPATH": str(Path(__file__).parent / "trap"), "TRAP": f"src/{rule}.py|{moment}|{n}"}
