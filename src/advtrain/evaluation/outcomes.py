"""Which examples a model still gets right after an attack: on test images in the evaluation, on training images to watch."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from advtrain.data.examples import Examples
from advtrain.fast.choice import in_training
from advtrain.networks.ensemble import per_seed
from advtrain.networks.plain import predict
from advtrain.system.errors import InputError


def correct_after_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: int, batch_size: int) -> Tensor:
    """Whether each example is classified correctly under BIM(N), N = `iterations`, of epsilon / N a step; bool, [n]."""
    attack = partial(bim, model, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations)
    return correct_after(model, data, attack, batch_size)


def correct_after(model: nn.Module, data: Examples, attack: Callable[[Tensor, Tensor], Tensor], batch_size: int) -> Tensor:
    """Whether `model` is right about each example after `attack(x, y)` has moved it; bool, [n], or [S, n] of an ensemble.

    Raises:
        InputError: its answers are NaN or infinite, which argmax would take for a class.
    """
    form = in_training(model)
    right = []
    for x, y in batches(data, batch_size):
        x, y = per_seed(model, x), per_seed(model, y)
        logits = predict(form, attack(x, y))
        if not logits.isfinite().all():
            raise InputError("the logits of some images are NaN or infinite, so the classifier has no answer to them")
        right.append(logits.argmax(dim=-1) == y)
    return torch.cat(right, dim=-1)


def share(flags: Tensor) -> float:
    """Share of the flags [n] that are set, exact on every device: MPS has no float64."""
    return int(flags.sum().item()) / len(flags)


def batches(data: Examples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The examples in their order, at most `batch_size` at once: images and labels."""
    yield from zip(data.x.split(batch_size), data.y.split(batch_size), strict=True)
