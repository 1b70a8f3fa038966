"""The processes of a running Snakemake: find them, wait for them, kill them from within."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

DEADLINE_SECONDS = 120


def script_in(snakemake: subprocess.Popen) -> psutil.Process:
    """The one script of the pipeline that runs in Snakemake's jobs."""
    found = []
    for process in psutil.Process(snakemake.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(argument.startswith("src/") for argument in process.cmdline()[:2]):
                found.append(process)
    (script,) = found
    return script


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit status."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {DEADLINE_SECONDS} seconds"
        time.sleep(0.05)


def traps(moments: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Variables with which the first runs of a rule's script are killed, each at one of the moments; see sitecustomize.py."""
    return {"PYTHONPATH": str(Path(__file__).parent / "trap"), "TRAPS": json.dumps(moments)}
