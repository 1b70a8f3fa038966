"""Synthetic data in the data sets' own format, and models that show what an attack does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advtrain.data.idx import write_idx
from advtrain.evaluation.table import Row, evaluation_row

TRAIN, TEST = 192, 64


Make = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


def synthetic_images(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes that a small network can learn: a bright 6x6 square on noise, whose place tells the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = random.integers(0, 60, (n, 28, 28))
    for image, label in zip(images, labels, strict=True):
        row, column = 3 + 12 * (label // 5), 1 + 5 * (label % 5)
        image[row : row + 6, column : column + 6] += 150
    return images.astype(np.uint8), labels.astype(np.uint8)


def write_synthetic_dataset(folder: Path, seed: int, make: Make = synthetic_images) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n, offset in (("train", TRAIN, 0), ("t10k", TEST, 1)):
        images, labels = make(n, 2 * seed + offset)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)


def synthetic_cifar10(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes in colour, of CIFAR-10's size: each image as above in a colour of its own."""
    grey, labels = synthetic_images(n, seed)
    colours = np.random.default_rng(seed).uniform(0.4, 1, (n, 3, 1, 1))
    return np.pad(colours * grey[:, None], ((0, 0), (0, 0), (2, 2), (2, 2))).astype(np.uint8), labels


def outcome_row(attack: str, correct: int, examples: int, iterations: int, **settings: Any) -> Row:
    """A row of the evaluation table with epsilon 0.3 in which the first `correct` of `examples` are right."""
    right = np.arange(examples) < correct
    row = evaluation_row(attack, right, epsilon=0.3, step_size=0.3 / max(iterations, 1), iterations=iterations, **settings)
    return {**row, "chance": 0.12}


class Linear(nn.Module):
    """Logits (w . x, 0): the gradient of the loss has the signs of -w for label 0 and of w for label 1, at every x."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor) -> Tensor:
        z = (x * self.w).flatten(1).sum(dim=1, keepdim=True)
        return torch.cat([z, torch.zeros_like(z)], dim=1)


class Noisy(nn.Module):
    """Batch norm, dropout and a frozen layer: what an attack must not touch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()
        self.out = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.frozen(self.drop(self.norm(x))).flatten(1))
