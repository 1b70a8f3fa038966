"""Why a long job should stop: a signal has come, or the process that started it is gone."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A cluster's word before it kills, Ctrl-C, a terminal that closes."""


class WhyStop:
    """Within its `with` block it takes `SIGNALS`, but for those that are ignored; called, it gives the reason to stop, or None.

    A process whose parent is gone was left behind by a Snakemake that was killed: the next one may start the same work.
    """

    def __init__(self) -> None:
        """Note who the parent is."""
        self.parent = os.getppid()
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
        """The reason."""
        if self.signal is not None:
            return self.signal.name
        return "the process that started it is gone" if os.getppid() != self.parent else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
