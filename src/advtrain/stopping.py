"""How a job ends before its time: a signal has come, or the Snakemake that started it is gone."""

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A cluster's word before it kills, Ctrl-C, a terminal that closes."""
POLL_SECONDS = 0.5
SNAKEMAKE_PID = "SNAKEMAKE_PID"


class WhyStop:
    """Within its `with` block it takes `SIGNALS`, but for those that are ignored; called, it names the first that came."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.signal: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals."""
        self.handlers = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in self.handlers.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give them back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def __call__(self) -> str | None:
        """Name of the signal, None if none has come."""
        return self.signal.name if self.signal else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number)


def end_with_snakemake() -> None:
    """Send this process SIGTERM once the Snakemake that started it, if one did, is gone.

    A Snakemake that is killed leaves its jobs behind, and the next run starts the same jobs again. rules/locks.smk puts its
    process id into the environment, so that it is known even if it is killed while this process starts.
    """
    if SNAKEMAKE_PID in os.environ:
        threading.Thread(target=_wait_for_the_end_of, args=(int(os.environ[SNAKEMAKE_PID]),), daemon=True).start()


def _wait_for_the_end_of(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    try:
        sys.stderr.write("The Snakemake that started this is gone.\n")
    finally:  # the log's disk may be full
        os.kill(os.getpid(), signal.SIGTERM)
