"""Titles and evaluations for the tests of tables and figures."""

from typing import Any

from advtrain.evaluation.table import Row
from advtrain.report.labels import Labels
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
SINGLE_ADV = {"fgsm_adv": "FGSM-Adv", "atda": "ATDA", "proposed": "Proposed"}
ITER_ADV = {"bim10_adv": "BIM(10)-Adv", "bim30_adv": "BIM(30)-Adv"}
DEFENSES = {"vanilla": "Vanilla", **SINGLE_ADV, **ITER_ADV}
FAMILIES = {"vanilla": "none", **dict.fromkeys(SINGLE_ADV, "single_adv"), **dict.fromkeys(ITER_ADV, "iter_adv")}


def labels_of(*defenses: str, **changes: Any) -> Labels:
    """Labels of some defenses on both data sets; `changes` are other fields."""
    fields = {
        "datasets": DATASETS,
        "defenses": {name: DEFENSES[name] for name in defenses},
        "families": {name: FAMILIES[name] for name in defenses},
        "scale": "small_cnn, 20 epochs",
        "departures": {},
    }
    return Labels(**(fields | changes))


def evaluated(dataset: str, defense: str, seed: int = 0, **correct: int) -> list[Row]:
    """A classifier's rows of the evaluation table: how many images are right under each attack, such as fgsm=950, bim10=900.

    Of 1,000 images, but of 500 for PGD and of 100 for AutoAttack.
    """
    rows = []
    for name, right in correct.items():
        attack, iterations = ("bim", int(name[3:])) if name[3:].isdigit() else (name, 40 if name == "pgd" else 1)
        examples = {"pgd": 500, "autoattack": 100}.get(attack, 1000)
        settings = {"loss": "worst", "restarts": 20} if attack == "pgd" else {}
        row = outcome_row(attack, right, examples, iterations, **settings)
        rows.append({"dataset": dataset, "defense": defense, "seed": seed, **row})
    return rows
