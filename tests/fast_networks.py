"""Networks and images on which forms computed by kernels are compared with the plain networks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import cross_entropy
from advtrain.networks.plain import initialise, new_network


def networks(name: str, count: int, generator: torch.Generator, highest: float = 0.05) -> list[nn.Sequential]:
    """Networks with biases from -0.2 to `highest`, and so many units that are off over a black background."""
    made = [new_network(name) for _ in range(count)]
    for network in made:
        initialise(network, generator)
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.uniform_(layer.bias, -0.2, highest, generator=generator)
    return made


def images(*shape: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images [..., 1, 28, 28], a bright patch on black, and labels."""
    x = torch.zeros(*shape, 1, 28, 28)
    x[..., 9:19, 10:18] = torch.rand(*shape, 1, 10, 8, generator=generator)
    return x, torch.randint(10, shape, generator=generator)


def distance(a: Tensor, b: Tensor) -> float:
    """Relative."""
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def gradients(seen: nn.Module, network: nn.Module, x: Tensor, y: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Logits, and the gradients of the mean loss with respect to images, as for an attack, then to images and weights."""
    x = x.to(dtype).requires_grad_()
    logits = seen(x)
    loss = cross_entropy(logits, y).mean(-1).sum()
    of_images = torch.autograd.grad(loss, x, retain_graph=True)
    return [logits, *of_images, *torch.autograd.grad(loss, [x, *network.parameters()])]


def product(a: np.ndarray, b: np.ndarray, **options: Any) -> np.ndarray:
    """np.matmul for Triton's interpreter: as on a GPU, equal rows give equal rows. On some CPUs those of BLAS do not."""
    return np.einsum("...mk,...kn->...mn", a, b, **options)
