"""Whether two contenders of an attack gave the same adversarial examples: without that, their times mean nothing."""

import torch
from torch import Tensor

ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-6}
"""What sums in another order may change. In float32 the sign of a next-to-zero gradient may flip too: a step apart."""


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference of a pixel, in the images' units."""
    return (found - expected).abs().max().item()


def share_of_differing_pixels(found: Tensor, expected: Tensor) -> float:
    """Share of the pixels that differ by more than rounding."""
    return ((found - expected).abs() > ROUNDING[expected.dtype]).double().mean().item()
