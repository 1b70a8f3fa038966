"""Seconds per training epoch of several defenses, measured side by side in one process."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from advtrain.system.device import synchronise
from advtrain.system.errors import check_at_least_one
from advtrain.training.cuda_graph import WARM_UP
from advtrain.training.trainer import Trainer

BASELINE = "fgsm_adv"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How seconds per epoch are measured."""

    blocks: int
    """Rounds that count; one more warms up."""
    steps_per_block: int
    """Training steps of each defense in a round."""
    threads: int
    """CPU threads of the measurement."""

    def __post_init__(self) -> None:
        for name in ("blocks", "steps_per_block", "threads"):
            check_at_least_one(name, getattr(self, name))


def time_epochs(trainers: Mapping[str, Trainer], timing: Timing) -> pd.DataFrame:
    """Time blocks of training steps of all defenses, one after the other, so that a noisy machine affects all alike.

    In each round every defense trains one block; the order turns from round to round. The first round is the warm-up, which
    records the CUDA graphs, and is not counted. The device is waited for before the clock is read; nothing is evaluated inside.

    Args:
        trainers: a fresh trainer for each defense, all on the same data.
        timing: number of rounds and of steps.

    Returns:
        A row for each defense and round: `defense`, `block` from 0, `seconds_per_epoch`.
    """
    streams = {name: trainer.endless_minibatches() for name, trainer in trainers.items()}
    rows = []
    for block in range(-1, timing.blocks):
        names = list(trainers)
        turn = block % len(names)
        for name in names[turn:] + names[:turn]:
            trainer = trainers[name]
            steps = timing.steps_per_block if block >= 0 else max(timing.steps_per_block, WARM_UP + 1)
            seconds = _time_steps(trainer, streams[name], steps)
            steps_per_epoch = math.ceil(len(trainer.data) / trainer.plan.batch_size)
            if block >= 0:
                rows.append((name, block, seconds / timing.steps_per_block * steps_per_epoch))
    return pd.DataFrame(rows, columns=["defense", "block", "seconds_per_epoch"])


def summarise(blocks: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over the blocks of each defense, in seconds per epoch and as ratio to FGSM-Adv.

    A ratio is taken within a block, between two measurements made within moments of each other, before the median is.

    Args:
        blocks: the table of `time_epochs`.

    Returns:
        A row for each defense: `defense`, and `seconds_{median,lower,upper}`, `ratio_{median,lower,upper}`; the ratios are NaN
        where FGSM-Adv was not timed.
    """
    wide = blocks.pivot(index="block", columns="defense", values="seconds_per_epoch")
    ratios = wide.div(wide[BASELINE], axis=0) if BASELINE in wide else wide * float("nan")
    summary = {}
    for kind, frame in (("seconds", wide), ("ratio", ratios)):
        for name, quantile in (("median", 0.5), ("lower", 0.25), ("upper", 0.75)):
            summary[f"{kind}_{name}"] = frame.quantile(quantile)
    return pd.DataFrame(summary).loc[blocks["defense"].unique()].rename_axis("defense").reset_index()


def _time_steps(trainer: Trainer, stream: Iterator[Tensor], steps: int) -> float:
    device = trainer.data.x.device
    synchronise(device)
    start = time.perf_counter()
    for index in itertools.islice(stream, steps):
        trainer.run_step(index)
    synchronise(device)
    return time.perf_counter() - start
