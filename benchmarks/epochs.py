"""Seconds per training epoch of each defense: ours beside a plain PyTorch loop."""

import itertools
import math
from collections.abc import Callable

import pandas as pd
import torch

from advtrain.training.timing import endless_minibatches
from benchmarks import plain
from benchmarks.ground import Ground, devices
from benchmarks.measure import cpu_threads, interleave

ROUNDS = 9
STEPS = 10
"""Training steps of a contender in a round."""
PLAIN_LOOP = "plain loop"


def measure(ground: Ground) -> pd.DataFrame:
    """Blocks of training steps of all defenses and both contenders in turn, on one thread, scaled to an epoch.

    Returns:
        Rows of `interleave` with `case`, the defense, and `threads`, `device`; `seconds` are those of an epoch.
    """
    tables = []
    for device in devices():
        runs = {}
        for defense in ground.config["defenses"]:
            runs[f"{defense}, ours"] = ours(ground, defense, device)
            runs[f"{defense}, {PLAIN_LOOP}"] = plain_loop(ground, defense, device)
        with cpu_threads(1):
            tables.append(interleave(runs, ROUNDS, device).assign(threads=1, device=device.type))
    table = pd.concat(tables, ignore_index=True)
    table[["case", "contender"]] = table["contender"].str.split(", ", expand=True)
    table["seconds"] *= math.ceil(len(ground.training) / ground.batch_size) / STEPS
    return table


def ours(ground: Ground, defense: str, device: torch.device) -> Callable[[], object]:
    """A block of steps of our Trainer; as in its epochs the losses are read when the block is over."""
    trainer = ground.trainer(defense, ground.training.to(device), ground.batch_size)
    minibatches = endless_minibatches(trainer)

    def block() -> object:
        return torch.stack([trainer.run_step(index) for index in itertools.islice(minibatches, STEPS)]).tolist()

    return block


def plain_loop(ground: Ground, defense: str, device: torch.device) -> Callable[[], object]:
    """A block of steps of the plain loop, from the same weights."""
    network = ground.trainer(defense, ground.training.first(1).to(device), 1).network
    steps = plain.training_steps(
        network,
        ground.training,
        plain.loss_of_defense(ground.config["defenses"][defense]["training"], ground.training, ground.epsilon, device),
        batch_size=ground.batch_size,
        learning_rate=ground.config["training"]["learning_rate"],
    )
    return lambda: list(itertools.islice(steps, STEPS))
