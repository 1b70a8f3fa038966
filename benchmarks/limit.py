"""How near an attack step and a training step come to the machine's limit: its fastest matrix product, in the same run."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch.nn import functional as F

from advtrain.attacks.gradient import ascend
from advtrain.networks.cpu_fast_path import frozen
from benchmarks.flops import attack_step_flops, fgsm_adv_step_flops, matrix_product_flops
from benchmarks.ground import Ground, devices, thread_counts
from benchmarks.measure import cpu_threads, interleave

ROUNDS = 7
BATCH_SIZES = (64, 125)
SIZES = (256, 512, 1024, 2048)
"""Sides of the square matrices whose product is the limit."""
FLOPS_OF_A_TURN = 2e9
"""Short runs are repeated until they have done at least this much, so that the clock's grain does not matter."""

Work = tuple[Callable[[], object], float]
"""A run, and how many FLOPs it does."""


def measure(ground: Ground) -> pd.DataFrame:
    """FLOP/s of steps and of matrix products.

    Returns:
        Rows of `interleave` with `case` ("step" or "product"), `threads`, `device`, `flops` of a run, and `share_of_peak`: its
        FLOP/s over those of the fastest product of the same round.
    """
    tables = []
    for device in devices():
        steps, products = _steps(ground, device), _products(device)
        turns = {name: _repeated(*work) for name, work in (steps | products).items()}
        for threads in thread_counts(device):
            with cpu_threads(threads):
                timed = interleave({name: run for name, (run, _) in turns.items()}, ROUNDS, device)
            timed["flops"] = timed["contender"].map({name: flops for name, (_, flops) in turns.items()})
            timed["case"] = timed["contender"].map(lambda name, steps=steps: "step" if name in steps else "product")
            tables.append(share_of_peak(timed.assign(threads=threads, device=device.type)))
    return pd.concat(tables, ignore_index=True)


def share_of_peak(timed: pd.DataFrame) -> pd.DataFrame:
    """Add `share_of_peak` to rows with `case`, `round`, `seconds` and `flops` of one device and number of threads."""
    speed = timed["flops"] / timed["seconds"]
    peak = speed[timed["case"] == "product"].groupby(timed["round"]).max()
    return timed.assign(share_of_peak=speed / timed["round"].map(peak))


def _steps(ground: Ground, device: torch.device) -> dict[str, Work]:
    work: dict[str, Work] = {}
    network = ground.copy_of(ground.attacked).to(device)
    for size in BATCH_SIZES:
        data = ground.training.first(size).to(device)
        trainer = ground.trainer("fgsm_adv", data, size)
        attack_step = partial(
            ascend, frozen(network), data.x, data.x, data.y, epsilon=ground.epsilon, step_size=ground.epsilon / 10
        )
        training_step = partial(trainer.run_step, torch.arange(size, device=device))
        work[f"attack step, batch {size}"] = attack_step, attack_step_flops(network, data.x)
        work[f"training step of FGSM-Adv, batch {size}"] = training_step, fgsm_adv_step_flops(network, data.x)
    return work


def _products(device: torch.device) -> dict[str, Work]:
    """The product of two square matrices, as one and as convolutions of 1x1 with the same arithmetic.

    On a CPU torch.mm is MKL's, which on some processors is half as fast as oneDNN. Which of the two computes a convolution
    depends on the number of images and of threads, so there is one of a single image and one of 16.
    """
    work: dict[str, Work] = {}
    for size in SIZES:
        a, b = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
        flops, kernel = matrix_product_flops(size), a.view(size, size, 1, 1)
        work[f"torch.mm, {size}"] = partial(torch.mm, a, b), flops
        work[f"1x1 convolution of 1 image, {size}"] = partial(F.conv2d, b.view(1, size, size, 1), kernel), flops
        work[f"1x1 convolution of 16 images, {size}"] = partial(F.conv2d, b.view(16, size, -1, 1), kernel), flops
    return work


def _repeated(run: Callable[[], object], flops: float) -> Work:
    times = max(1, round(FLOPS_OF_A_TURN / flops))

    def turn() -> None:
        for _ in range(times):
            run()

    return turn, times * flops
