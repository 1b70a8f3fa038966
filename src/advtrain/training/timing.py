"""Seconds per training epoch of several defenses, measured side by side in one process."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from advtrain.system.device import synchronise
from advtrain.system.settings import check_counts
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
        check_counts(self)


def time_epochs(trainers: Mapping[str, Trainer], timing: Timing) -> pd.DataFrame:
    """Time blocks of training steps of each defense's fresh trainer in turn, so that a noisy machine affects all alike.

    In each round every defense trains one block; the order turns from round to round. The first round is the warm-up, which
    records the CUDA graphs, and is not counted. Nothing is evaluated inside. Returns a row for each defense and round:
    `defense`, `block` from 0, `seconds_per_epoch`.
    """
    streams = {name: trainer.endless_minibatches() for name, trainer in trainers.items()}
    rows = []
    for block, name in in_turns(list(trainers), timing.blocks):
        trainer = trainers[name]
        steps = timing.steps_per_block if block >= 0 else max(timing.steps_per_block, WARM_UP + 1)
        seconds = _time_steps(trainer, streams[name], steps)
        rows.append((name, block, seconds / steps * math.ceil(len(trainer.data) / trainer.plan.batch_size)))
    return pd.DataFrame(rows[len(trainers) :], columns=["defense", "block", "seconds_per_epoch"])


def in_turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each name in each round, in an order that turns from round to round; round -1, the warm-up, comes before round 0."""
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            yield number, name


def summarise(blocks: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over the blocks of `time_epochs`, in seconds per epoch and as ratio to FGSM-Adv.

    A ratio is taken within a block, between two measurements made within moments of each other, before the median is. Returns a
    row for each defense: `defense`, `seconds_{median,lower,upper}`, `ratio_{median,lower,upper}`; NaN without FGSM-Adv.
    """
    wide = blocks.pivot(index="block", columns="defense", values="seconds_per_epoch")
    ratios = wide.div(wide[BASELINE], axis=0) if BASELINE in wide else wide * float("nan")
    quantiles = {"median": 0.5, "lower": 0.25, "upper": 0.75}
    summary = {
        f"{kind}_{name}": frame.quantile(quantile)
        for kind, frame in (("seconds", wide), ("ratio", ratios))
        for name, quantile in quantiles.items()
    }
    return pd.DataFrame(summary).loc[blocks["defense"].unique()].rename_axis("defense").reset_index()


def _time_steps(trainer: Trainer, stream: Iterator[Tensor], steps: int) -> float:
    """Seconds of the next steps; the device is waited for before the clock is read."""
    device = trainer.data.x.device
    synchronise(device)
    start = time.perf_counter()
    for index in itertools.islice(stream, steps):
        trainer.run_step(index)
    synchronise(device)
    return time.perf_counter() - start
