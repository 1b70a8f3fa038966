"""Seconds of a training epoch of each defense: ours and a plain PyTorch loop."""

import itertools
import math
from functools import partial

import pandas as pd
import torch

from advtrain.training.trainer import Trainer
from benchmarks import plain
from benchmarks.libraries import OURS, PLAIN_LOOP
from benchmarks.measure import Run, interleave
from benchmarks.setup import CONFIG, Setup


def measure(setup: Setup, rounds: int = 11, steps: int = 10) -> pd.DataFrame:
    """Blocks of steps of contenders such as "proposed, ours" and "proposed, plain loop", scaled to the seconds of an epoch."""
    contenders: dict[str, Run] = {}
    for defense in CONFIG["defenses"]:
        contenders[f"{defense}, {OURS}"] = steps_of(setup.trainer(defense), steps)
        losses = plain.training_steps(setup.plan(defense), setup.trainer(defense).network, setup.training)
        contenders[f"{defense}, {PLAIN_LOOP}"] = partial(lambda losses: list(itertools.islice(losses, steps)), losses)
    table = interleave(contenders, rounds)
    batches = table["contender"].map(lambda name: setup.plan(name.partition(", ")[0]).batch_size)
    return table.assign(seconds=table["seconds"] / steps * (len(setup.training) / batches).map(math.ceil))


def steps_of(trainer: Trainer, steps: int) -> Run:
    """The next steps of our trainer at each call; it reads its losses at their end, as it does after an epoch."""
    minibatches = trainer.endless_minibatches()
    return lambda: torch.stack([trainer.run_step(index) for index in itertools.islice(minibatches, steps)]).tolist()
