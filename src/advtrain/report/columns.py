"""The columns of Table I, and the rows of the evaluation table behind each."""

import pandas as pd

from advtrain.system.errors import InputError

SECONDS = "Seconds per epoch"
RATIO = "Relative to FGSM-Adv"
PASSES = "Forward-backward passes per image"
TIME = "Training time"
ATTACKS = ("Original", "FGSM", "BIM(10)", "BIM(30)", "PGD", "AutoAttack")
"""The paper's columns, then two stronger attacks that it does not have."""


def select(evaluations: pd.DataFrame, dataset: str, defense: str, column: str) -> pd.DataFrame:
    """The evaluation table's rows of one figure of `ATTACKS`, one for each seed; raises InputError if it was not evaluated."""
    cell = evaluations[(evaluations["dataset"] == dataset) & (evaluations["defense"] == defense)]
    if column.startswith("BIM("):
        iterations = int(column[4:-1])
        cell = cell[(cell["attack"] == "bim") & (cell["iterations"] == iterations) & (cell["iterate"] == iterations)]
    elif column == "PGD":
        cell = cell[(cell["attack"] == "pgd") & (cell["loss"] == "worst")]
    else:
        cell = cell[cell["attack"] == {"Original": "clean", "FGSM": "fgsm", "AutoAttack": "autoattack"}[column]]
    if cell.empty:
        raise InputError(f"Table I needs {column} of {dataset}/{defense}, which was not evaluated; add it to the configuration")
    return cell
