"""How many examples a model still gets right after an attack: on test images in the evaluation, on training images to watch."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from advtrain.attacks import bim, evaluation_mode
from advtrain.datasets import Examples


def count_correct_under_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: int, batch_size: int) -> int:
    """Number of examples classified correctly under BIM(N), N = `iterations`, of epsilon / N a step."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return bim(model, x, y, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations)

    return count_correct(model, data, attack, batch_size)


def count_correct(model: nn.Module, data: Examples, attack: Callable[[Tensor, Tensor], Tensor], batch_size: int) -> int:
    """Number of examples that `model` classifies correctly after `attack(x, y)` has moved them."""
    correct = torch.zeros((), dtype=torch.int64, device=data.y.device)
    for x, y in batches(data, batch_size):
        correct += (predict(model, attack(x, y)).argmax(dim=1) == y).sum()
    return int(correct.item())


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Logits [B, K] of the images x [B, C, H, W], in evaluation mode and without a graph."""
    with torch.no_grad(), evaluation_mode(model):
        logits: Tensor = model(x)
    return logits


def batches(data: Examples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The examples in their order, at most `batch_size` at once: images and labels."""
    yield from zip(data.x.split(batch_size), data.y.split(batch_size), strict=True)
