"""The evaluation table: a row for each figure, whatever the attack, with the outcome of every image."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Row = dict[str, Any]

EVALUATION_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("defense", pa.string()),
        ("seed", pa.int64()),
        ("attack", pa.string()),
        ("loss", pa.string()),
        ("epsilon", pa.float64()),
        ("step_size", pa.float64()),
        ("iterations", pa.int64()),
        ("iterate", pa.int64()),
        ("restarts", pa.int64()),
        ("examples", pa.int64()),
        ("correct", pa.int64()),
        ("accuracy", pa.float64()),
        ("outcomes", pa.binary()),
    ]
)
"""Columns of the evaluation table, one row a figure: `correct` of `examples` were right after iterate `iterate`.

`outcomes` tells which: a bit for each example, in the order that the configuration's `subset_seed` draws, so that rows can be
compared example by example (`unpack_outcomes`). A row over fewer examples is about the first of them.
"""


def evaluation_row(
    attack: str,
    right: NDArray[np.bool_],
    *,
    epsilon: float,
    step_size: float | None,
    iterations: int,
    iterate: int | None = None,
    loss: str = "cross_entropy",
    restarts: int = 1,
) -> Row:
    """One row of the evaluation table, without data set, defense and seed.

    Args:
        attack: its name.
        right: whether each example was right under it, [n].
        epsilon: radius of the budget.
        step_size: length of a step; None where the attack chooses it itself.
        iterations: its steps.
        iterate: the iterate that was looked at; the last one if None.
        loss: what it ascends.
        restarts: how often it started; 1 from the clean image or from one random start.
    """
    return {
        "attack": attack,
        "loss": loss,
        "epsilon": epsilon,
        "step_size": step_size,
        "iterations": iterations,
        "iterate": iterations if iterate is None else iterate,
        "restarts": restarts,
        "examples": len(right),
        "correct": int(right.sum()),
        "accuracy": int(right.sum()) / len(right),
        "outcomes": np.packbits(right).tobytes(),
    }


def unpack_outcomes(outcomes: bytes, examples: int) -> NDArray[np.bool_]:
    """Whether each of `examples` was right, [n], from a row's `outcomes`."""
    return np.unpackbits(np.frombuffer(outcomes, dtype=np.uint8), count=examples).astype(bool)
