"""When two computations agree, though they round differently."""

import torch
from torch import Tensor


def agree(found: Tensor, expected: Tensor) -> bool:
    """Whether two right implementations of one attack may have given these adversarial examples.

    Where a gradient is next to nothing its sign is a matter of rounding, and a step apart is the outcome. In float64 that does
    not happen, so they have to be the same to 1e-12. In float32 it may, in fewer than one of 10,000 pixels.
    """
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    difference = (found - expected).abs()
    if found.dtype == torch.float64:
        return bool((difference <= 1e-12).all())
    return (~(difference <= 1e-6)).double().mean().item() < 1e-4


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of an entry, relative to the largest entry of b."""
    return ((a - b).abs().max() / b.abs().max()).item()
