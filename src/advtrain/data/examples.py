"""IDX files in, tensors out, with checks: every image and label that training and evaluation see comes through here."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from advtrain.data.idx import IMAGE_SHAPE, IMAGES_MAGIC, LABELS_MAGIC, read_idx
from advtrain.system.errors import InputError

CLASSES = 10


@dataclass(frozen=True)
class Examples:
    """Images x [n, 1, 28, 28], float32 in [0, 1], and their labels y [n], int64 in 0..9, on one device; InputError if not."""

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        """Check what the attacks and the losses take for granted."""
        if self.x.shape[1:] != (1, *IMAGE_SHAPE) or self.x.dtype != torch.float32:
            raise InputError(f"images are {list(self.x.shape)} {self.x.dtype}; expected [n, 1, 28, 28] torch.float32")
        if self.y.shape != self.x.shape[:1] or self.y.dtype != torch.int64:
            raise InputError(
                f"labels are {list(self.y.shape)} {self.y.dtype} for {len(self.x)} images; expected [n] torch.int64"
            )
        if len(self.x) == 0:
            raise InputError("there are no images; at least one is needed")
        low, high = self.x.min().item(), self.x.max().item()
        if not (low >= 0 and high <= 1):
            raise InputError(f"images lie in [{low:g}, {high:g}]; expected [0, 1], so divide bytes by 255")
        if self.y.min() < 0 or self.y.max() >= CLASSES:
            raise InputError(f"labels lie in {self.y.min()}..{self.y.max()}; expected 0..{CLASSES - 1}")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.y)

    @property
    def chance(self) -> float:
        """Accuracy of who looks at no image and always answers the commonest label."""
        return int(self.y.cpu().bincount().max()) / len(self)

    def to(self, device: torch.device) -> "Examples":
        """The same examples on `device`."""
        return Examples(self.x.to(device), self.y.to(device))

    def first(self, n: int) -> "Examples":
        """The first `n` examples, or all where there are fewer."""
        return Examples(self.x[:n], self.y[:n])

    def split(self, n: int) -> tuple["Examples", "Examples | None"]:
        """The first `n` examples and the others, None where there are no others."""
        return self.first(n), Examples(self.x[n:], self.y[n:]) if n < len(self) else None

    def subset(self, n: int, seed: int) -> "Examples":
        """The first `n` examples of an order drawn by `seed`, so that a smaller subset is part of each larger one."""
        if n > len(self):
            raise InputError(f"{n} examples were asked for, but the data set has {len(self)}")
        chosen = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:n]
        return Examples(self.x[chosen], self.y[chosen])


def load_examples(images: Path, labels: Path) -> Examples:
    """Read examples from a file of images and its file of labels; raises as `read_idx`, and if they do not go together."""
    x = torch.from_numpy(read_idx(images, IMAGES_MAGIC)).unsqueeze(1).float() / 255
    y = torch.from_numpy(read_idx(labels, LABELS_MAGIC)).long()
    try:
        return Examples(x, y)
    except InputError as error:
        raise InputError(f"{images} and {labels}: {error}") from None
