"""BIM(10) on test images: ours, a plain loop and three other libraries, and whether they all give the same images."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from advtrain.data.examples import CLASSES
from advtrain.system.errors import InputError
from benchmarks import plain
from benchmarks.measure import interleave
from benchmarks.setup import CONFIG, Setup

OURS, PLAIN_LOOP, ART = "ours", "plain loop", "ART"
ITERATIONS = 10
BATCH_SIZE = CONFIG["evaluation"]["batch_size"]

Attack = Callable[[Tensor, Tensor], Tensor]
Runs = dict[str, Callable[[], Tensor]]


def measure(setup: Setup, rounds: int = 11, examples: int = 1000) -> pd.DataFrame:
    """Seconds of each contender for all images in float32: the rows of `interleave`, and the columns of `agreement`."""
    network, data, epsilon = setup.attacked(), setup.test.first(examples), setup.plan("vanilla").epsilon
    in_float64 = contenders(copy.deepcopy(network).double(), data.x.double(), data.y, epsilon)
    in_float32 = contenders(network, data.x, data.y, epsilon)
    agreed = agreement(in_float64, in_float32)
    return interleave(in_float32, rounds).merge(agreed, on="contender", how="left")


def agreement(in_float64: Runs, in_float32: Runs) -> pd.DataFrame:
    """How far the adversarial examples of each `contender` are from ours: `largest_difference` of a pixel in float64, NaN for
    ART, which computes in float32 only; `differing_pixels`, the share of those that differ in float32.

    Sums in another order may change a pixel by rounding; in float32 that may flip the sign of a gradient close to zero, in one
    pixel of a thousand. InputError for a contender that differs more: its time would mean nothing.
    """
    rows = []
    for name in in_float32:
        largest = math.nan if name == ART else (in_float64[name]() - in_float64[OURS]()).abs().max().item()
        differing = ((in_float32[name]() - in_float32[OURS]()).abs() > 1e-6).double().mean().item()
        if largest > 1e-12 or differing > 1e-3:
            raise InputError(
                f"{name} is {largest:g} away from ours in float64, {differing:.2%} of its pixels differ in float32"
            )
        rows.append((name, largest, differing))
    return pd.DataFrame(rows, columns=["contender", "largest_difference", "differing_pixels"])


def contenders(network: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> Runs:
    """Each contender's run, by name, which gives the adversarial examples of the images x with labels y.

    The network is in evaluation mode and of the images' type. The libraries' objects are made here, and cost no time in a run.
    ART takes and gives NumPy arrays and splits them itself; its user has arrays, so their conversion is made here, too.
    """
    import torchattacks
    from art.attacks.evasion import BasicIterativeMethod
    from art.estimators.classification import PyTorchClassifier
    from foolbox.attacks import LinfBasicIterativeAttack
    from foolbox.models import PyTorchModel

    step = epsilon / ITERATIONS
    budget: dict[str, Any] = {"epsilon": epsilon, "step_size": step, "iterations": ITERATIONS}
    foolbox_model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    foolbox = LinfBasicIterativeAttack(abs_stepsize=step, steps=ITERATIONS, random_start=False)
    attacks: dict[str, Attack] = {
        OURS: partial(bim, network, **budget),
        PLAIN_LOOP: partial(plain.attack, network, **budget),
        "torchattacks": torchattacks.BIM(network, eps=epsilon, alpha=step, steps=ITERATIONS),
        "foolbox": lambda x, y: foolbox(foolbox_model, x, y, epsilons=epsilon)[0],
    }
    loss, shape, arrays = nn.CrossEntropyLoss(), tuple(x.shape[1:]), (x.numpy(), y.numpy())
    art_model = PyTorchClassifier(network, loss, shape, CLASSES, clip_values=(0.0, 1.0), device_type="cpu")
    art = BasicIterativeMethod(art_model, epsilon, step, ITERATIONS, batch_size=BATCH_SIZE, verbose=False)

    def in_batches(attack: Attack) -> Tensor:
        return torch.cat([attack(*batch) for batch in zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE), strict=True)])

    runs: Runs = {name: partial(in_batches, attack) for name, attack in attacks.items()}
    return {**runs, ART: lambda: torch.from_numpy(art.generate(*arrays))}
