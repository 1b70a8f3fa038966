"""What each optimisation that was kept gains: the pipeline as it is beside the pipeline without it."""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from advtrain.networks.plain import cpu_fast_path as frozen_module
from advtrain.attacks.gradient import bim
from advtrain.data.examples import load_examples
from advtrain.system.device import keep_memory
from advtrain.training.timing import endless_minibatches
from advtrain.training.trainer import Trainer
from benchmarks.ground import Ground, configuration
from benchmarks.measure import cpu_threads, interleave
from benchmarks.peers import OURS

WITHOUT = "without"
ROUNDS = 5
STEPS = 10
ITERATIONS = 10
SEEDS = 5
QUICK_EXAMPLES = 4000
"""Training images of a quick run's job: what a process has allocated before decides what its allocator does later."""

FROZEN = "attack: layers written down"
FOLD = "attack: product and fold"
PHASES = "attack: phases of a stride"
DENSE = "attack: dense as convolution"
ADAM = "training: fused Adam"
MEMORY = "training: memory kept"
ONE_BY_ONE = f"training: {SEEDS} seeds one by one"
GARBAGE = "start: garbage left alone"
PANDAS = "start: no pandas"

KEPT = {
    FROZEN: "BIM on a network written down for it, channels last, all three below included (`frozen.py`)",
    FOLD: "the first convolution's input gradient as a matrix product and a fold (`frozen.py`)",
    PHASES: "the input gradient of a strided convolution by phases of the stride (`frozen.py`)",
    DENSE: "the first dense layer as a convolution of the maps' size (`frozen.py`)",
    ADAM: "Adam's update in one kernel (`training.py`)",
    MEMORY: "glibc's allocator keeps what tensors give back (`device.py`)",
    ONE_BY_ONE: "on a CPU seeds are not trained at once, as they are on CUDA (`ensemble.py`)",
    GARBAGE: "a process does not search torch for garbage at its end (`command.py`)",
    PANDAS: "a job that computes builds its tables without pandas (`results.py`)",
}
"""What each optimisation is, and where."""

Contenders = Mapping[str, Callable[[], object]]


def measure(ground: Ground) -> pd.DataFrame:
    """Seconds with and without each, on one thread of the CPU.

    Returns:
        Rows of `interleave` with `case`, the optimisation, `threads` and `device`.
    """
    cases: dict[str, Contenders] = {
        **_attacks(ground),
        ADAM: {OURS: _steps(_trainer(ground)), WITHOUT: _steps(_with_plain_adam(_trainer(ground)))},
        ONE_BY_ONE: _seeds(ground),
        GARBAGE: {OURS: _python("import gc, torch; gc.freeze()"), WITHOUT: _python("import gc, torch")},
        PANDAS: {OURS: _python("import pyarrow.parquet"), WITHOUT: _python("import pyarrow.parquet, pandas")},
    }
    with cpu_threads(1):
        tables = [interleave(contenders, ROUNDS).assign(case=case) for case, contenders in cases.items()]
    tables.append(_in_processes(ground.folder).assign(case=MEMORY))
    return pd.concat(tables, ignore_index=True).assign(threads=1, device="cpu")


def _attacks(ground: Ground) -> dict[str, Contenders]:
    data = ground.test.first(ground.batch_size)
    budget = {"epsilon": ground.epsilon, "step_size": ground.epsilon / ITERATIONS}

    def attack(network: nn.Module) -> object:
        return bim(network, data.x, data.y, iterations=ITERATIONS, **budget)

    def attack_without(name: str, instead: Callable[..., object]) -> object:
        with patch.object(frozen_module, name, instead):
            return attack(ground.attacked)

    def product(layer: nn.Linear, channels: int) -> frozen_module.Layer:
        return lambda x: F.linear(x.flatten(1), layer.weight.detach(), layer.bias.detach())

    def convolution(layer: nn.Conv2d) -> frozen_module.Layer:
        weight, bias = layer.weight.detach().clone(memory_format=torch.channels_last), frozen_module._constant(layer.bias)
        return lambda x: F.conv2d(x, weight, bias, layer.stride, layer.padding)

    unknown = _Unknown(*ground.attacked.children())
    instead: dict[str, Callable[[], object]] = {
        FROZEN: lambda: attack(unknown),
        FOLD: lambda: attack_without("_first_convolution", convolution),
        PHASES: lambda: attack_without("_convolution", convolution),
        DENSE: lambda: attack_without("_linear_of_maps", product),
    }
    return {case: {OURS: lambda: attack(ground.attacked), WITHOUT: run} for case, run in instead.items()}


class _Unknown(nn.Sequential):
    """A row of layers that `frozen` leaves as it is."""


def _trainer(ground: Ground, seeds: int = 1) -> Trainer:
    return ground.trainer("fgsm_adv", ground.training, ground.batch_size, seeds)


def _with_plain_adam(trainer: Trainer) -> Trainer:
    trainer.optimiser = torch.optim.Adam(trainer.network.parameters(), lr=trainer.plan.learning_rate)
    return trainer


def _seeds(ground: Ground) -> Contenders:
    alone = [_steps(_trainer(ground)) for _ in range(SEEDS)]
    return {OURS: lambda: [run() for run in alone], WITHOUT: _steps(_trainer(ground, SEEDS))}


def _steps(trainer: Trainer) -> Callable[[], object]:
    """Some training steps more at each call."""
    stream = endless_minibatches(trainer)
    return lambda: [trainer.run_step(index) for index in itertools.islice(stream, STEPS)]


def _python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def _in_processes(folder: Path) -> pd.DataFrame:
    """Steps in a fresh process each, since the allocator's settings are a process's, and stay."""
    rows = []
    for number in range(ROUNDS):
        for name in (OURS, WITHOUT):
            command = [sys.executable, "-m", "benchmarks.kept", name, str(folder)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rows.append((name, number, float(printed)))
    return pd.DataFrame(rows, columns=["contender", "round", "seconds"])


def main(name: str, folder: str) -> None:
    """Print the median seconds of some training steps, in a process that has read what a training job reads."""
    torch.set_num_threads(1)
    if name == OURS:
        keep_memory()
    everything = load_examples(Path(folder, "train-images-idx3-ubyte"), Path(folder, "train-labels-idx1-ubyte"))
    some = everything.subset(QUICK_EXAMPLES, 0)
    run = _steps(_trainer(Ground(some, some, configuration(), Path(folder))))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(statistics.median(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
