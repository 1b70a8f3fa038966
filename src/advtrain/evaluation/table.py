"""The evaluation table: a row for each figure, whatever the attack, with the outcome of every image."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Row = dict[str, Any]

STRING, INT, FLOAT = pa.string(), pa.int64(), pa.float64()
EVALUATION_SCHEMA = pa.schema(
    {"dataset": STRING, "defense": STRING, "seed": INT, "attack": STRING, "loss": STRING, "epsilon": FLOAT}
    | {"step_size": FLOAT, "iterations": INT, "iterate": INT, "restarts": INT}
    | {"examples": INT, "correct": INT, "accuracy": FLOAT, "chance": FLOAT, "outcomes": pa.binary()}
)
"""Columns of the evaluation table, one row a figure: `correct` of `examples` were right after iterate `iterate`. Of an attack
whose steps fall `step_size` is the first one. `chance` is the share of the commonest label among these examples.

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
    """One row of the evaluation table, of whether each example is right, [n]; without data set, defense, seed and chance.

    `step_size` is None where the attack chooses it itself; `iterate` is the last one if None; `loss` is what it ascends;
    `restarts` is 1 from the clean image or from one random start.
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
