"""What a person sees of a training: a bar in a terminal; elsewhere a line for each epoch, and a line at each tenth."""

import contextlib
import math
import time
from datetime import timedelta
from typing import TextIO

from tqdm import tqdm

from advtrain.training.plan import EpochRecord

TENTHS = 10


class Progress:
    """Shows the epochs of one cell, all seeds together.

    In a terminal, `log` gets a progress bar. Elsewhere (under Snakemake, on a cluster) `log` gets one line for each epoch, and
    `console`, which whoever started the workflow sees, one at each tenth of the training.
    """

    def __init__(self, cell: str, epochs: int, seeds: int, log: TextIO, console: TextIO) -> None:
        """Args: cell, its name in messages; epochs of each seed; number of seeds; where to write."""
        self.cell, self.epochs, self.total, self.log, self.console = cell, epochs, epochs * seeds, log, console
        self.start = time.perf_counter()
        self.resumed_at: int | None = None
        """Epochs that an earlier run had trained, known at the first call."""
        self.bar = tqdm(total=self.total, desc=cell, unit="epoch", file=log) if log.isatty() else None

    def __call__(self, record: EpochRecord, done: int) -> None:
        """Show one epoch; `done` counts the epochs trained of all seeds."""
        self.resumed_at = done - 1 if self.resumed_at is None else self.resumed_at
        figures = f"loss {record.loss:.4f}, clean {record.clean_accuracy:.1%}, "
        if not math.isnan(record.adversarial_accuracy):
            figures += f"adversarial {record.adversarial_accuracy:.1%}, "
        figures += f"robust {record.robust_accuracy:.1%}"
        if self.bar is not None:
            if self.bar.n == 0:
                self.bar.initial = self.bar.n = self.resumed_at  # epochs from the checkpoint must not count towards the rate
            self.bar.set_postfix_str(f"seed {record.seed}, {figures}", refresh=False)
            self.bar.update(done - self.bar.n)
            return
        each = (time.perf_counter() - self.start) / (done - self.resumed_at)
        left = timedelta(seconds=round(each * (self.total - done)))
        line = f"{self.cell}: seed {record.seed}, epoch {record.epoch}/{self.epochs}, {figures}, {left} left"
        _write_line(self.log, line)
        if done * TENTHS // self.total > (done - 1) * TENTHS // self.total:
            _write_line(self.console, f"{done / self.total:4.0%} of {line}")

    def close(self) -> None:
        """End the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()


def _write_line(stream: TextIO, line: str) -> None:
    """Write a line at once, since trainings side by side share a console; a full disk under the log does not end a training."""
    with contextlib.suppress(OSError):
        stream.write(f"{line}\n")
        stream.flush()
