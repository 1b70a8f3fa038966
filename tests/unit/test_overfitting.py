"""Whether and when a training lost its robustness, and its last epoch beside its best one."""

import itertools
from typing import Any

import pandas as pd
import pytest

from advtrain.report.collapses import BEST, overfitting_table, page
from advtrain.report.pages import to_markdown
from evaluated import evaluated, labels_of

LABELS = labels_of("vanilla", "fgsm_adv", "proposed")
CURVES = {
    "vanilla": ([0.05, 0.02, 0.01, 0.0], [0.2, 0.3, 0.2, 0.1]),
    "fgsm_adv": ([0.5, 0.7, 0.34, 0.3], [0.8, 0.9, 0.95, 0.99]),
    "proposed": ([0.6, 0.2, 0.29, 0.5], [0.7, 0.5, 0.6, 0.7]),
}


def histories(**changed: tuple[list[float], list[float]]) -> pd.DataFrame:
    """Accuracy under PGD and FGSM, epoch by epoch, of two seeds alike on both data sets."""
    rows = []
    for dataset, (defense, (pgd, fgsm)), seed in itertools.product(LABELS.datasets, (CURVES | changed).items(), (0, 1)):
        for epoch, (under_pgd, under_fgsm) in enumerate(zip(pgd, fgsm, strict=True), start=1):
            watched = {"pgd_accuracy": under_pgd, "fgsm_accuracy": under_fgsm, "alignment": 0.5}
            rows.append({"dataset": dataset, "defense": defense, "seed": seed, "epoch": epoch, **watched})
    return pd.DataFrame(rows[::-1])


def first(table: pd.DataFrame, defense: str) -> dict[str, Any]:
    return table[table["defense"] == defense].iloc[0].to_dict()


def test_a_training_has_collapsed_where_pgd_falls_below_half_of_its_highest_and_of_fgsm() -> None:
    table = overfitting_table(histories(), pd.DataFrame(), LABELS)
    assert len(table) == 2 * 3 * 2
    collapsed, recovered = first(table, "fgsm_adv"), first(table, "proposed")
    assert (collapsed["epoch"], collapsed["pgd"], collapsed["last_epoch"], collapsed["last_pgd"]) == (2, 0.7, 4, 0.3)
    assert (collapsed["collapsed"], collapsed["recovered"]) == (3, False)
    assert (recovered["collapsed"], recovered["recovered"]) == (2, True)
    assert pd.isna(first(table, "vanilla")["collapsed"]), "it was never robust"


@pytest.mark.parametrize(
    ("pgd", "fgsm", "verdict"),
    [
        ([0.19, 0.01], [0.9, 0.9], "never robust"),
        ([0.2, 0.2], [0.9, 0.9], "no"),
        ([0.2, 0.05], [0.9, 0.9], "epoch 2"),
        ([0.5, 0.25], [0.9, 0.9], "no"),
        ([0.5, 0.24], [0.9, 0.9], "epoch 2"),
        ([0.2, 0.6], [0.9, 0.9], "no"),  # what comes later does not make a rise a fall
        ([0.5, 0.24], [0.9, 0.47], "no"),  # all of its robustness is low, not that beyond a single step alone
        ([0.5, 0.24, 0.25], [0.9, 0.9, 0.9], "epoch 2, recovered"),
    ],
)
def test_the_page_says_whether_and_when(pgd: list[float], fgsm: list[float], verdict: str) -> None:
    table = overfitting_table(histories(proposed=(pgd, fgsm)), pd.DataFrame(), LABELS)
    written = to_markdown("Title", page(table, LABELS, "20 training images"))
    assert f"| Proposed     | 0      | {verdict} " in written
    assert first(table, "proposed")["recovered"] == verdict.endswith("recovered"), "only what collapsed can recover"
    assert "on 20 training images after each epoch" in written
    assert "Test, best epoch" not in written


def test_the_best_of_equal_epochs_is_the_first() -> None:
    table = overfitting_table(histories(proposed=([0.3, 0.5, 0.5], [0.9, 0.9, 0.9])), pd.DataFrame(), LABELS)
    assert first(table, "proposed")["epoch"] == 2


def test_with_images_held_out_the_last_epoch_s_weights_and_the_best_one_s_stand_side_by_side() -> None:
    rows = [
        row
        for dataset, seed, (defense, right) in itertools.product(
            LABELS.datasets, (0, 1), {"fgsm_adv": 150, "proposed": 240}.items()
        )
        for name, more in ((defense, 0), (defense + BEST, 100))
        for row in evaluated(dataset, name, seed, pgd=right + more + seed)
    ]
    table = overfitting_table(histories(), pd.DataFrame(rows), LABELS)
    seen = table[table["defense"] == "fgsm_adv"]
    assert seen["test_last"].tolist() == [0.3, 0.302] * 2
    assert seen["test_best"].tolist() == [0.5, 0.502] * 2
    assert table[table["defense"] == "vanilla"]["test_best"].isna().all()
    written = to_markdown("Title", page(table, LABELS, "20 training images held out"))
    assert "30.2" in written
    assert "Test, best epoch" in written
