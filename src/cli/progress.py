"""How a training shows its progress: a line for each epoch in the log, and a line at each tenth on the console."""

import contextlib
import math
import time
from datetime import timedelta
from typing import TextIO

from advtrain.training.plan import EpochRecord

TENTHS = 10


class Progress:
    """Shows the epochs of one cell, all seeds together."""

    def __init__(self, cell: str, epochs: int, seeds: int, log: TextIO, console: TextIO) -> None:
        """Args: cell, its name in messages; epochs of each seed; number of seeds; where to write."""
        self.cell, self.epochs, self.total, self.log, self.console = cell, epochs, epochs * seeds, log, console
        self.start = time.perf_counter()
        self.resumed_at: int | None = None  # epochs that an earlier run had trained, known at the first call

    def __call__(self, record: EpochRecord, done: int) -> None:
        """Show one epoch; `done` counts the epochs trained of all seeds."""
        self.resumed_at = done - 1 if self.resumed_at is None else self.resumed_at
        seconds_each = (time.perf_counter() - self.start) / (done - self.resumed_at)
        left = timedelta(seconds=round(seconds_each * (self.total - done)))
        trained_on = (("clean", record.clean_accuracy), ("adversarial", record.adversarial_accuracy))
        seen = "".join(f"{name} {accuracy:.1%}, " for name, accuracy in trained_on if not math.isnan(accuracy))
        line = (
            f"{self.cell}: seed {record.seed}, epoch {record.epoch}/{self.epochs}, loss {record.loss:.4f}, "
            f"{seen}robust {record.robust_accuracy:.1%}, {left} left"
        )
        _write_line(self.log, line)
        if done * TENTHS // self.total > (done - 1) * TENTHS // self.total:
            _write_line(self.console, f"{done / self.total:4.0%} of {line}")


def _write_line(stream: TextIO, line: str) -> None:
    """Write a line at once, since trainings side by side share a console; a full disk under the log does not end a training."""
    with contextlib.suppress(OSError):
        stream.write(f"{line}\n")
        stream.flush()
