"""How a job ends early: it gets a signal, or the Snakemake that started it dies."""

import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A cluster's warning before it kills, Ctrl-C, a terminal that closes."""
PR_SET_PDEATHSIG = 1
"""Linux's name for "send me a signal when my parent dies" (prctl.h)."""


@contextlib.contextmanager
def noting_signals() -> Iterator[Callable[[], str | None]]:
    """Within this context `SIGNALS`, except ignored ones, are only noted; what it yields tells the first one's name, if any."""
    noted: list[str] = []
    former = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda received, frame: noted.append(signal.Signals(received).name))
    try:
        yield lambda: noted[0] if noted else None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def stop_with_parent() -> None:
    """On Linux, get SIGTERM when the process that started this one dies.

    A Snakemake that is killed would leave its jobs running, and the next run starts the same jobs again.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
