"""Square Attack (Andriushchenko et al. 2020): a random search that sees only logits, so masked gradients do not stop it."""

import math

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import check_epsilon, margin, project
from advtrain.fast.choice import frozen
from advtrain.networks.plain import predict_all
from advtrain.system.errors import check_at_least_one

FIRST_SHARE = 0.8
"""Share of the pixels that the first squares cover."""
HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of all queries after which the covered share halves (the official code's schedule)."""


def square(
    model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, queries: int, generator: torch.Generator, batch_size: int
) -> Tensor:
    """Adversarial examples [n, C, H, W] of Square Attack in l-infinity: for each image the one of the highest margin.

    It starts from vertical stripes of +-epsilon. Each query sets a square at a random place to +-epsilon and keeps it if the
    margin grows. An image that is fooled is left alone.

    Epsilon is in the units of the images x [n, C, H, W], whose labels are y [n]. Each image has `queries` forward passes, the
    start included. The generator, on the CPU, draws for all images at once, so that the result does not depend on `batch_size`.
    InputError where epsilon is not in (0, 1] or `queries` is below 1.
    """
    check_epsilon(epsilon)
    check_at_least_one("queries", queries)
    model = frozen(model)
    n, channels, height, width = x.shape
    x_adv = project(x + epsilon * _signs((n, channels, 1, width), generator).to(x), x, epsilon)
    highest = margin(predict_all(model, x_adv, batch_size), y)
    for query in range(1, queries):
        active = (highest <= 0).nonzero().squeeze(1)
        if len(active) == 0:
            break
        side = _side(query / queries, height, width)
        inside = _squares(len(active), height, width, side, generator).to(x.device)
        sign = _signs((len(active), channels, 1, 1), generator).to(x)
        tried = torch.where(inside, project(x[active] + epsilon * sign, x[active], epsilon), x_adv[active])
        reached = margin(predict_all(model, tried, batch_size), y[active])
        better = reached > highest[active]
        x_adv[active[better]], highest[active[better]] = tried[better], reached[better]
    return x_adv


def _side(progress: float, height: int, width: int) -> int:
    """Side of a square in pixels, after this share of the queries."""
    share = FIRST_SHARE / 2 ** sum(progress > at for at in HALVED_AT)
    return min(max(round(math.sqrt(share * height * width)), 1), height, width)


def _squares(n: int, height: int, width: int, side: int, generator: torch.Generator) -> Tensor:
    """n masks [n, 1, H, W], each of one square at a random place."""
    top = torch.randint(0, height - side + 1, (n, 1, 1, 1), generator=generator)
    left = torch.randint(0, width - side + 1, (n, 1, 1, 1), generator=generator)
    row, column = torch.arange(height).view(1, 1, -1, 1), torch.arange(width).view(1, 1, 1, -1)
    return (row >= top) & (row < top + side) & (column >= left) & (column < left + side)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.randint(0, 2, shape, generator=generator) - 1
