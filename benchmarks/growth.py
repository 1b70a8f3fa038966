"""How the time of an epoch of Proposed, and its memory, grow with the training images and with the batch."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from benchmarks.ground import Ground, devices
from benchmarks.measure import cpu_threads, interleave

ROUNDS = 2


@dataclass(frozen=True)
class Case:
    """One size of a training."""

    share: float
    """Of the training images."""
    batch_size: int
    seeds: int = 1
    """Trained at once, as one batched network."""

    def images(self, ground: Ground) -> int:
        """How many images that is."""
        return int(self.share * len(ground.training))

    def name(self, ground: Ground) -> str:
        """What the size is called in tables."""
        seeds = f", {self.seeds} seeds at once" if self.seeds > 1 else ""
        return f"{self.images(ground):,} images, batch {self.batch_size}{seeds}"


CASES = {
    "images": [Case(1 / 4, 64), Case(1 / 2, 64), Case(1, 64)],
    "batch": [Case(1 / 4, 128), Case(1 / 4, 256), Case(1 / 4, 512), Case(1 / 4, 1024)],
    "seeds": [Case(1 / 8, 64), Case(1 / 8, 64, 2), Case(1 / 8, 64, 4), Case(1 / 8, 64, 8)],
}
"""By what grows. The first case of all is the one that the others are compared with, and the start of the batches, too."""


def measure(ground: Ground) -> pd.DataFrame:
    """Whole epochs on one thread, all cases in turn.

    Returns:
        Rows of `interleave` with `case`, a key of `CASES`, `threads`, `device`, `images`, `batch_size`, `seeds`, and
        `loaded_bytes`, `peak_bytes`, `cuda_bytes`: peak memory of a fresh process after loading the data, and after training
        steps.
    """
    cases = {case.name(ground): (kind, case) for kind in CASES for case in CASES[kind]}
    tables = []
    for device in devices():
        epochs = {name: _epoch(ground, case, device) for name, (_, case) in cases.items()}
        with cpu_threads(1):
            timed = interleave(epochs, ROUNDS, device).assign(threads=1, device=device.type)
        sizes = [
            {
                "contender": name,
                "case": kind,
                "images": case.images(ground),
                "batch_size": case.batch_size,
                "seeds": case.seeds,
            }
            | _peak_memory(ground, case, device)
            for name, (kind, case) in cases.items()
        ]
        tables.append(timed.merge(pd.DataFrame(sizes), on="contender"))
    return pd.concat(tables, ignore_index=True)


def _epoch(ground: Ground, case: Case, device: torch.device) -> Callable[[], object]:
    data = ground.training.subset(case.images(ground), 0).to(device)
    return ground.trainer("proposed", data, case.batch_size, case.seeds).train_epoch


def _peak_memory(ground: Ground, case: Case, device: torch.device) -> dict[str, Any]:
    size = ["--images", str(case.images(ground)), "--batch-size", str(case.batch_size), "--seeds", str(case.seeds)]
    command = [sys.executable, "-m", "benchmarks.memory", "--data", str(ground.folder), *size, "--device", device.type]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(printed)
    return found
