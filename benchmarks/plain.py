"""What a user of PyTorch writes without this repository: an attack as a loop, and each defense in a plain training loop."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from advtrain.data.examples import Examples

LossOf = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""The loss of a network on a minibatch: images, labels, and where the images stand in the training set."""


def attack(
    network: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, iterations: int, start: Tensor | None = None
) -> Tensor:
    """BIM as a loop, from `start` or from the clean images."""
    x_adv = x if start is None else start
    for _ in range(iterations):
        x_adv = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x_adv), y), x_adv)
        x_adv = x_adv.detach() + step_size * gradient.sign()
        x_adv = torch.clamp(x_adv, x - epsilon, x + epsilon).clamp(0, 1)
    return x_adv


def training_steps(
    network: nn.Module, data: Examples, loss_of: LossOf, *, batch_size: int, learning_rate: float
) -> Iterator[float]:
    """Train without end on minibatches of a shuffling DataLoader, and yield the loss of each step as a number."""
    dataset = TensorDataset(data.x, data.y, torch.arange(len(data)))
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    device = next(network.parameters()).device
    while True:
        for x, y, index in loader:
            loss = loss_of(network, x.to(device), y.to(device), index)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.item()


def loss_of_defense(settings: Mapping[str, Any], data: Examples, epsilon: float, device: torch.device) -> LossOf:
    """The loss of a defense by its configuration entry, with its own memory of the training set if it has any."""
    method = settings["method"]
    if method == "vanilla":
        return lambda network, x, y, index: F.cross_entropy(network(x), y)
    if method == "fgsm_adv":
        return _bim_adv(epsilon, 1)
    if method == "bim_adv":
        return _bim_adv(epsilon, settings["iterations"])
    if method == "proposed":
        return _proposed(data.x.to(device, copy=True), epsilon, epsilon / settings["step_divisor"])
    return _atda(epsilon, torch.zeros(10, 10, device=device))


def _bim_adv(epsilon: float, iterations: int) -> LossOf:
    def loss_of(network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        x_adv = attack(network, x, y, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations)
        return 0.5 * (F.cross_entropy(network(x), y) + F.cross_entropy(network(x_adv), y))

    return loss_of


def _proposed(carried: Tensor, epsilon: float, step_size: float) -> LossOf:
    def loss_of(network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        start = carried[index]
        x_adv = attack(network, x, y, epsilon=epsilon, step_size=step_size, iterations=1, start=start)
        carried[index] = x_adv
        return 0.5 * (F.cross_entropy(network(x), y) + F.cross_entropy(network(x_adv), y))

    return loss_of


def _atda(epsilon: float, centres: Tensor) -> LossOf:
    def loss_of(network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        x_adv = attack(network, x, y, epsilon=epsilon, step_size=epsilon, iterations=1)
        z, a = network(x), network(x_adv)
        z_centred, a_centred = z - z.mean(0), a - a.mean(0)
        coral = (z_centred.T @ z_centred - a_centred.T @ a_centred).abs().mean()
        mmd = (z.mean(0) - a.mean(0)).abs().mean()
        f, one_hot = torch.cat([z, a]), F.one_hot(torch.cat([y, y]), 10).float()
        distances = (f[:, None] - centres).abs().sum(2)
        own = (distances * one_hot).sum(1, keepdim=True)
        margin = (F.softplus(own - distances) * (1 - one_hot)).sum() / (1 - one_hot).sum()
        count = one_hot.sum(0)[:, None]
        centres.sub_(0.1 * (count * centres - one_hot.T @ f.detach()) / (1 + count))
        loss: Tensor = F.cross_entropy(z, y) + F.cross_entropy(a, y) + (coral + mmd + margin) / 3
        return loss

    return loss_of
