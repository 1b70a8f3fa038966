"""What our own optimisations gain on a CPU: the same work without each and with it."""

import copy
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

import pandas as pd
import torch

from advtrain.attacks.gradient import bim
from advtrain.system.device import keep_memory
from advtrain.training.trainer import Trainer
from benchmarks.epochs import steps_of
from benchmarks.libraries import BATCH_SIZE, ITERATIONS
from benchmarks.measure import Run, interleave
from benchmarks.setup import Setup

FROZEN, MEMORY, SEEDS = "a network written down", "memory kept", "three seeds at once"
WITH, WITHOUT = "with", "without"
DEFENSE = "proposed"


def measure(setup: Setup, rounds: int = 11, steps: int = 10) -> pd.DataFrame:
    """The rows of `interleave` for contenders such as "memory kept, with" and "memory kept, without"."""
    few = Setup(setup.training.first(steps * setup.plan(DEFENSE).batch_size), setup.test.first(BATCH_SIZE))
    with steps_in_a_process(few, steps, keep=True) as kept, steps_in_a_process(few, steps, keep=False) as returned:
        contenders: dict[str, Run] = {
            **attacks(few),
            f"{MEMORY}, {WITH}": kept,
            f"{MEMORY}, {WITHOUT}": returned,
            **trainings(few, steps),
        }
        return interleave(contenders, rounds)


def attacks(setup: Setup) -> dict[str, Run]:
    """BIM(10) on the form of the network that an attack chooses, and on the plain one, which stays so because of its hook."""
    network, data, epsilon = setup.attacked(), setup.test, setup.plan(DEFENSE).epsilon
    plain = copy.deepcopy(network)
    plain.register_forward_hook(lambda *_: None)
    attack = partial(bim, x=data.x, y=data.y, epsilon=epsilon, step_size=epsilon / ITERATIONS, iterations=ITERATIONS)
    return {f"{FROZEN}, {WITH}": partial(attack, network), f"{FROZEN}, {WITHOUT}": partial(attack, plain)}


def trainings(setup: Setup, steps: int) -> dict[str, Run]:
    """Steps of three seeds, as one batched network and one by one."""
    plan, seeds = setup.plan(DEFENSE), range(3)
    alone = [steps_of(Trainer(plan, setup.training, [seed]), steps) for seed in seeds]
    together = steps_of(Trainer(plan, setup.training, seeds), steps)
    return {f"{SEEDS}, {WITH}": together, f"{SEEDS}, {WITHOUT}": lambda: [run() for run in alone]}


@contextmanager
def steps_in_a_process(setup: Setup, steps: int, *, keep: bool) -> Iterator[Run]:
    """Steps of a training in a process of its own, whose allocator keeps memory or is as it was: there is no way back."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(setup, steps, keep)) as process:
        yield lambda: process.submit(_steps).result()


def _begin(setup: Setup, steps: int, keep: bool) -> None:
    torch.set_num_threads(1)
    if keep:
        keep_memory()
    _TRAINING.append(steps_of(setup.trainer(DEFENSE), steps))


def _steps() -> None:
    _TRAINING[0]()


_TRAINING: list[Run] = []
"""Of a process: what `_begin` made."""
