"""What our own optimisations gain on a CPU: the same work without each and with it."""

import copy
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

import pandas as pd
import torch

from advtrain.attacks.gradient import bim, fgsm
from advtrain.networks.plain import madry_cnn
from advtrain.system.device import keep_memory
from advtrain.training.trainer import Trainer
from benchmarks.epochs import steps_of
from benchmarks.libraries import BATCH_SIZE, ITERATIONS
from benchmarks.measure import Run, interleave
from benchmarks.setup import CONFIG, Setup

FROZEN = "a network written down"
KEPT_TRAINING, KEPT_ATTACK = "memory kept, small_cnn", "memory kept, madry_cnn"
SEEDS = "three seeds at once"
WITH, WITHOUT = "with", "without"
DEFENSE = "proposed"
LARGE_BATCH = CONFIG["autoattack"]["batch_size"]


def measure(setup: Setup, rounds: int = 11, steps: int = 10) -> pd.DataFrame:
    """The rows of `interleave` for contenders such as "three seeds at once: with" and "three seeds at once: without"."""
    few = Setup(setup.training.first(steps * setup.plan(DEFENSE).batch_size), setup.test.first(LARGE_BATCH))
    with in_a_process(few, steps, keep=True) as kept, in_a_process(few, steps, keep=False) as not_kept:
        return interleave({**attacks(few), **kept, **not_kept, **trainings(few, steps)}, rounds)


def attacks(setup: Setup) -> dict[str, Run]:
    """BIM(10) on the form of the network that an attack chooses, and on the plain one, which stays so because of its hook."""
    network, data, epsilon = setup.attacked(), setup.test.first(BATCH_SIZE), setup.plan(DEFENSE).epsilon
    plain = copy.deepcopy(network)
    plain.register_forward_hook(lambda *_: None)
    attack = partial(bim, x=data.x, y=data.y, epsilon=epsilon, step_size=epsilon / ITERATIONS, iterations=ITERATIONS)
    return {f"{FROZEN}: {WITH}": partial(attack, network), f"{FROZEN}: {WITHOUT}": partial(attack, plain)}


def trainings(setup: Setup, steps: int) -> dict[str, Run]:
    """Steps of three seeds, as one batched network and one by one."""
    plan, seeds = setup.plan(DEFENSE), range(3)
    alone = [steps_of(Trainer(plan, setup.training, [seed]), steps) for seed in seeds]
    together = steps_of(Trainer(plan, setup.training, seeds), steps)
    return {f"{SEEDS}: {WITH}": together, f"{SEEDS}: {WITHOUT}": lambda: [run() for run in alone]}


@contextmanager
def in_a_process(setup: Setup, steps: int, *, keep: bool) -> Iterator[dict[str, Run]]:
    """Work in a process of its own, whose allocator keeps memory or does as by default, to which there is no way back."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(setup, steps, keep)) as process:

        def run(name: str) -> Run:
            return lambda: process.submit(_run, name).result()

        yield {f"{name}: {WITH if keep else WITHOUT}": run(name) for name in (KEPT_TRAINING, KEPT_ATTACK)}


def _begin(setup: Setup, steps: int, keep: bool) -> None:
    torch.set_num_threads(1)
    if keep:
        keep_memory()
    attack = partial(fgsm, madry_cnn().eval(), setup.test.x, setup.test.y, epsilon=setup.plan(DEFENSE).epsilon)
    _RUNS.update({KEPT_TRAINING: steps_of(setup.trainer(DEFENSE), steps), KEPT_ATTACK: attack})


def _run(name: str) -> None:
    _RUNS[name]()


_RUNS: dict[str, Run] = {}
"""Of a process: what `_begin` made."""
