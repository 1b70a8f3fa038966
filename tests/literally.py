"""A defense in the pipeline's trainer, and beside it what a test writes down of its paper's formulas, both in float64."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from advtrain.data.examples import Examples
from advtrain.system.randomness import SeededRandom
from advtrain.training.trainer import Trainer
from agreement import largest_difference
from trainings import plan

EPSILON = 0.3
EPOCHS = 3
RATE = 0.2


class Literally:
    """Six images in minibatches of four and two, plain gradient descent, and the draws of the defense once more."""

    def __init__(self, defense: dict[str, Any], **changes: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        images = (2 * torch.rand(6, 1, 28, 28, generator=generator) - 0.5).clamp(0, 1)
        data = Examples(images, torch.tensor([3, 1, 4, 1, 5, 9]))
        descent = {"optimiser": "sgd", "momentum": 0, "learning_rate": RATE}
        self.trainer = Trainer(plan("", defense=defense, epsilon=EPSILON, batch_size=4, **descent, **changes), data, [3])
        self.x, self.y = data.x.double(), data.y
        self.trainer.network.double()
        object.__setattr__(self.trainer.data, "x", self.x)
        self.trainer.defense.start_training(self.x)
        self.network = copy.deepcopy(self.trainer.network)
        self.random = SeededRandom([3], torch.device("cpu"))

    def minibatches(self) -> Iterator[tuple[int, Tensor]]:
        """Epoch and index of each minibatch, before the pipeline trains on it; at the end both networks have to be the same."""
        for epoch in range(EPOCHS):
            for index in self.trainer.minibatches(self.trainer.start_epoch(epoch)):
                before = self.network[0].weight.clone()
                yield epoch, index
                self.trainer.step(index)
                assert not torch.equal(self.network[0].weight, before)
                for ours, literal in zip(self.trainer.network.parameters(), self.network.parameters(), strict=True):
                    assert largest_difference(ours, literal) < 1e-9

    def kept(self, name: str) -> Tensor:
        """What the defense keeps from minibatch to minibatch."""
        return self.trainer.defense.state_dict()[name]

    def noise(self, x: Tensor, radius: float) -> Tensor:
        """U(-radius, radius)."""
        return 2 * radius * self.random.uniform(x) - radius

    def moves(self, images: int) -> list[tuple[int, int, bool]]:
        """Of each image of a minibatch: row and column of the canvas to begin at, and whether it is flipped."""
        draws = self.random.uniform(torch.empty(images, 3, dtype=torch.float64)).tolist()
        return [(int(9 * row), int(9 * column), flip < 0.5) for row, column, flip in draws]

    def cross_entropy(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each image."""
        return torch.stack([-torch.log_softmax(logits, 0)[label] for logits, label in zip(self.network(x), y, strict=True)])

    def smoothed(self, logits: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of each image with 0.6 for its label and 0.4 / 9 for each other class."""
        target = torch.full_like(logits, 0.4 / 9)
        target[torch.arange(len(y)), y] = 0.6
        return -(target * torch.log_softmax(logits, 1)).sum(1)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Of the images' cross-entropies, by the images."""
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(self.cross_entropy(x, y).sum(), x)
        return found

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, trained_on: str) -> Tensor:
        """That of the adversarial examples alone, or half of it and half that of the clean images."""
        adversarial = self.cross_entropy(x_adv, y).mean()
        return adversarial if trained_on == "adversarial" else (adversarial + self.cross_entropy(x, y).mean()) / 2

    def descend(self, loss: Tensor) -> None:
        weights = list(self.network.parameters())
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight -= RATE * gradient


def canvas(x: Tensor) -> Tensor:
    """Images with four rows or columns of zeros on each side."""
    wide = torch.zeros(*x.shape[:-2], x.shape[-2] + 8, x.shape[-1] + 8, dtype=x.dtype)
    wide[..., 4:-4, 4:-4] = x
    return wide


def seen(wide: Tensor, index: Tensor, moves: list[tuple[int, int, bool]]) -> Tensor:
    """What of the canvases at an index is seen."""
    windows = [
        wide[i, :, row : row + 28, column : column + 28] for i, (row, column, _) in zip(index.tolist(), moves, strict=True)
    ]
    return torch.stack([w.flip(-1) if flipped else w for w, (_, _, flipped) in zip(windows, moves, strict=True)])


def put_back(wide: Tensor, index: Tensor, moves: list[tuple[int, int, bool]], x: Tensor) -> None:
    """The inverse: images, turned back, into the places that they were seen at."""
    for i, (row, column, flipped), image in zip(index.tolist(), moves, x, strict=True):
        wide[i, :, row : row + 28, column : column + 28] = image.flip(-1) if flipped else image


def clip(x: Tensor, low: Any, high: Any) -> Tensor:
    return torch.maximum(torch.minimum(x, torch.as_tensor(high, dtype=x.dtype)), torch.as_tensor(low, dtype=x.dtype))


def projected(x_adv: Tensor, x: Tensor) -> Tensor:
    """Into the budget, then into the image box."""
    return clip(x + clip(x_adv - x, -EPSILON, EPSILON), 0, 1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(softmax(p) || softmax(q)) of each image."""
    return F.kl_div(torch.log_softmax(q, 1), torch.log_softmax(p, 1), log_target=True, reduction="none").sum(1)
