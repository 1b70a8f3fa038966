"""Random crops and flips of the training images of each minibatch, on their device; and the way back to the whole image.

A canvas is an image with a border of zeros, of which each visit sees a window of the image's own size, flipped or not. What is
written through the window lies where it was seen, so that a perturbation stays with the pixels that it was made for.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from advtrain.system.device import no_place_twice
from advtrain.system.randomness import SeededRandom

Augment = Literal["none", "crop_flip"]

PADDING = 4
"""Pixels on each side of the canvas, as everybody has for CIFAR-10."""


class Window(NamedTuple):
    """What is seen of the canvas of each image of a minibatch."""

    rows: Tensor
    """From the top, [B, H]."""
    columns: Tensor
    """From left to right, [B, W]; from right to left where the image is flipped."""


def padded(x: Tensor) -> Tensor:
    """The canvases [..., C, H + 8, W + 8] of images x [..., C, H, W]."""
    return F.pad(x, (PADDING, PADDING, PADDING, PADDING))


def draw_window(x: Tensor, random: SeededRandom) -> Window:
    """For each of the images x [..., B, C, H, W] one of 9 rows and 9 columns to begin at, and in half the cases a flip."""
    height, width = (torch.arange(size, device=x.device) for size in x.shape[-2:])
    row, column, flip = random.uniform(x.new_empty(*x.shape[:-3], 3)).split(1, dim=-1)
    first_row, first_column = (((2 * PADDING + 1) * place).long() for place in (row, column))
    return Window(first_row + height, first_column + torch.where(flip < 0.5, width.flip(0), width))


def look(canvases: Tensor, places: Tensor, window: Window | None) -> Tensor:
    """The images [..., B, C, H, W] at the places [..., B] of canvases [n, C, H + 8, W + 8]; without a window all of each."""
    if window is None:
        return canvases[places]
    rows, columns = window.rows.unsqueeze(-1), window.columns.unsqueeze(-2)
    return canvases[places[..., None, None], :, rows, columns].movedim(-1, -3).contiguous()


def write(canvases: Tensor, places: Tensor, window: Window | None, x: Tensor) -> None:
    """Put images x [..., B, C, H, W] where `look` sees them, in place; no place is there twice."""
    with no_place_twice():
        if window is None:
            canvases[places] = x
        else:
            rows, columns = window.rows.unsqueeze(-1), window.columns.unsqueeze(-2)
            canvases[places[..., None, None], :, rows, columns] = x.movedim(-3, -1)


def crop(x: Tensor, window: Window) -> Tensor:
    """What is seen of the canvases of a minibatch's images x [..., B, C, H, W]."""
    canvases = padded(x).flatten(0, -4)
    return look(canvases, torch.arange(len(canvases), device=x.device).view(x.shape[:-3]), window)
