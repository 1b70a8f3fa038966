"""The columns of Table I, and the rows of the evaluation table behind each."""

import numpy as np
import pandas as pd

from advtrain.evaluation.table import evaluation_row, unpack_outcomes
from advtrain.system.errors import InputError

SECONDS = "Seconds per epoch"
RATIO = "Relative to FGSM-Adv"
PASSES = "Forward-backward passes per image"
TIME = "Training time"
STRONGEST = "Strongest"
ATTACKS = ("Original", "FGSM", "BIM(10)", "BIM(30)", "PGD", "AutoAttack", STRONGEST)
"""The paper's columns, then two stronger attacks that it does not have, and the worst case of all attacks."""


def select(evaluations: pd.DataFrame, dataset: str, defense: str, column: str) -> pd.DataFrame:
    """The evaluation table's rows of one figure of `ATTACKS`, one for each seed; raises InputError if it was not evaluated."""
    cell = evaluations[(evaluations["dataset"] == dataset) & (evaluations["defense"] == defense)]
    if column.startswith("BIM("):
        iterations = int(column[4:-1])
        cell = cell[(cell["attack"] == "bim") & (cell["iterations"] == iterations) & (cell["iterate"] == iterations)]
    elif column == "PGD":
        cell = cell[(cell["attack"] == "pgd") & (cell["loss"] == "worst")]
    elif column == STRONGEST:
        cell = worst_case(cell)
    else:
        cell = cell[cell["attack"] == {"Original": "clean", "FGSM": "fgsm", "AutoAttack": "autoattack"}[column]]
    if cell.empty:
        raise InputError(f"Table I needs {column} of {dataset}/{defense}, which was not evaluated; add it to the configuration")
    return cell


def worst_case(cell: pd.DataFrame) -> pd.DataFrame:
    """The evaluation table's rows, one for each seed, of an attacker who has every attack of a cell, clean images included.

    An image is right if it withstood all; only the images that all attacked count.
    """
    rows = []
    for seed, attacks in cell.groupby("seed"):
        fewest = attacks.loc[attacks["examples"].idxmin()]
        images = int(fewest["examples"])
        right = np.logical_and.reduce([unpack_outcomes(outcomes, images) for outcomes in attacks["outcomes"]])
        row = evaluation_row(STRONGEST, right, epsilon=attacks["epsilon"].max(), step_size=None, iterations=0, loss="worst")
        rows.append({"seed": seed, **row, "chance": fewest["chance"]})
    return pd.DataFrame(rows)
