"""What a check of the audit found, with its standard error over the images."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from advtrain.evaluation.table import FLOAT, INT, STRING

FINDINGS_SCHEMA = pa.schema(
    {"dataset": STRING, "defense": STRING, "seed": INT, "check": STRING, "value": FLOAT, "error": FLOAT, "examples": INT}
)
"""Columns of the audit's findings, one row a check of a model: its name, and what it found as `Finding`."""


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    value: float
    error: float
    """Standard error over the images; 0 where the value is exact."""
    examples: int


def proportion(value: float, examples: int) -> Finding:
    """A share of so many images, with its binomial standard error."""
    return Finding(value, math.sqrt(value * (1 - value) / examples), examples)


def share_of(flags: NDArray[np.bool_]) -> Finding:
    """The share of the images that are flagged."""
    return proportion(float(flags.mean()), len(flags))


def difference(right: NDArray[np.bool_], less: NDArray[np.bool_]) -> Finding:
    """Accuracy of `right` less that of `less`, paired on the images that both are about."""
    n = min(len(right), len(less))
    paired = right[:n].astype(float) - less[:n]
    return Finding(float(paired.mean()), float(paired.std()) / math.sqrt(n), n)
