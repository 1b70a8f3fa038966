"""The figures that the paper reports (Liu, Khalil, Khreishah 2019, Table I), in its units."""

import math

TABLE_1: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "fgsm_adv": {"mnist": (99.10, 98.65, 2.16, 2.13), "fmnist": (92.09, 90.05, 6.68, 6.18)},
    "atda": {"mnist": (97.80, 97.90, 86.6, 84.2), "fmnist": (85.60, 80.3, 56.8, 49.1)},
    "proposed": {"mnist": (99.08, 96.71, 94.21, 94.04), "fmnist": (89.19, 79.85, 70.74, 66.03)},
    "bim10_adv": {"mnist": (98.97, 96.74, 93.29, 93.24), "fmnist": (88.59, 74.93, 67.45, 65.96)},
    "bim30_adv": {"mnist": (99.06, 95.71, 93.39, 93.51), "fmnist": (86.52, 76.98, 71.12, 70.75)},
}
"""Test accuracy in percent, by defense and data set, under the attacks of `COLUMNS`."""

DATASETS = ("mnist", "fmnist")

COLUMNS = ("Original", "FGSM", "BIM(10)", "BIM(30)")
TABLE_1_BIM = (10, 30)
"""Numbers N of BIM(N) among them."""

SECONDS_PER_EPOCH = {"fgsm_adv": 17.12, "atda": 26.21, "proposed": 18.68, "bim10_adv": 56.47, "bim30_adv": 142.37}
"""Training time per epoch on a Tesla K20m, in seconds."""

IN_FIGURES_1_AND_2 = ("vanilla", "fgsm_adv", "bim10_adv", "bim30_adv")
"""The four classifiers that the paper draws; we draw the others dashed."""


def accuracies(defense: str, dataset: str) -> dict[str, float]:
    """Test accuracy in percent by column; none where the paper has none."""
    return dict(zip(COLUMNS, TABLE_1.get(defense, {}).get(dataset, ()), strict=False))


def seconds_per_epoch(defense: str) -> float:
    """Training time per epoch, in seconds; NaN where the paper has none."""
    return SECONDS_PER_EPOCH.get(defense, math.nan)
