"""IDX files in, tensors out, with checks: every image and label that training and evaluation see comes through here."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from advtrain.data.idx import CHANNELS_MAGIC, IMAGES_MAGIC, LABELS_MAGIC, read_idx
from advtrain.system.errors import InputError

CLASSES = 10
"""Of MNIST, Fashion-MNIST and CIFAR-10, and of the networks for them."""


@dataclass(frozen=True)
class Examples:
    """Images x [n, C, H, W], float32 in [0, 1], and their labels y [n], int64, on one device; InputError if not."""

    x: Tensor
    y: Tensor
    classes: int = CLASSES
    """Number K of the data set's classes; labels lie in 0..K-1."""

    def __post_init__(self) -> None:
        """Check what the attacks and the losses take for granted."""
        if self.x.dim() != 4 or self.x.dtype != torch.float32:
            raise InputError(f"images are {list(self.x.shape)} {self.x.dtype}; expected [n, C, H, W] torch.float32")
        if self.y.shape != self.x.shape[:1] or self.y.dtype != torch.int64:
            raise InputError(
                f"labels are {list(self.y.shape)} {self.y.dtype} for {len(self.x)} images; expected [n] torch.int64"
            )
        if len(self.x) == 0:
            raise InputError("there are no images; at least one is needed")
        low, high = self.x.min().item(), self.x.max().item()
        if not (low >= 0 and high <= 1):
            raise InputError(f"images lie in [{low:g}, {high:g}]; expected [0, 1], so divide bytes by 255")
        if self.y.min() < 0 or self.y.max() >= self.classes:
            raise InputError(f"labels lie in {self.y.min()}..{self.y.max()}; expected 0..{self.classes - 1}")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.y)

    @property
    def chance(self) -> float:
        """Accuracy of who looks at no image and always answers the commonest label."""
        return int(self.y.cpu().bincount().max()) / len(self)

    def to(self, device: torch.device) -> "Examples":
        """The same examples on `device`."""
        return replace(self, x=self.x.to(device), y=self.y.to(device))

    def first(self, n: int) -> "Examples":
        """The first `n` examples, or all where there are fewer."""
        return replace(self, x=self.x[:n], y=self.y[:n])

    def split(self, n: int) -> tuple["Examples", "Examples | None"]:
        """The first `n` examples and the others, None where there are no others."""
        return self.first(n), replace(self, x=self.x[n:], y=self.y[n:]) if n < len(self) else None

    def subset(self, n: int, seed: int) -> "Examples":
        """The first `n` examples of an order drawn by `seed`, so that a smaller subset is part of each larger one."""
        if n > len(self):
            raise InputError(f"{n} examples were asked for, but the data set has {len(self)}")
        chosen = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:n]
        return replace(self, x=self.x[chosen], y=self.y[chosen])


def load_examples(images: Path, labels: Path) -> Examples:
    """Read examples from a file of images and its file of labels; raises as `read_idx`, and if they do not go together.

    The largest label tells the number of classes: `sources.download` has seen that each class has images in both files.
    """
    x = torch.from_numpy(read_idx(images, IMAGES_MAGIC, CHANNELS_MAGIC)).float() / 255
    y = torch.from_numpy(read_idx(labels, LABELS_MAGIC)).long()
    try:
        return Examples(x.unsqueeze(1) if x.dim() == 3 else x, y, classes=int(y.max()) + 1 if len(y) else 0)
    except InputError as error:
        raise InputError(f"{images} and {labels}: {error}") from None
