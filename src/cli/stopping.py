"""How a job ends early: it gets a signal, or the Snakemake that started it dies."""

import ctypes
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A cluster's warning before it kills, Ctrl-C, a terminal that closes."""
PR_SET_PDEATHSIG = 1
"""Linux's name for "send me a signal when my parent dies" (prctl.h)."""


class WhyStop:
    """Within its `with` block it handles `SIGNALS`, except ignored ones; calling it returns the first that was received."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        self.handlers = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in self.handlers.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Restore the former handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def __call__(self) -> str | None:
        """Name of the signal, None if none has been received."""
        return self.signal.name if self.signal else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number)


def stop_with_parent() -> None:
    """On Linux, get SIGTERM when the process that started this one dies.

    A Snakemake that is killed would leave its jobs running, and the next run starts the same jobs again.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
