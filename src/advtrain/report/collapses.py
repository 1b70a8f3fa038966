"""Catastrophic overfitting: whether and when each training lost its robustness, and what its best epoch would have given."""

import itertools
from typing import Any

import pandas as pd

from advtrain.report.columns import select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section

ROBUST = 0.2
"""Accuracy under PGD from which a network counts as robust at all: twice what guessing gets on ten classes."""
BEST = "__best"
"""What the name of a classifier ends with that has the weights of the best epoch."""


def overfitting_table(histories: pd.DataFrame, evaluations: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """A row for each data set, defense and seed.

    Of the watched images: `epoch` and `pgd` after the epoch that was best under PGD, the first of equals; `last_epoch`,
    `last_pgd`, `last_fgsm`, `last_alignment` after the last; `collapsed`, the first epoch of `is_collapsed`, or None;
    `recovered`, whether it did and the last epoch's `pgd` is no longer below half of the highest.

    Of the test images, from `evaluations` of the classifiers and of those with `BEST`: `test_last` and `test_best`, accuracy
    under PGD with the last epoch's weights and with the best one's; None where no images were held out.
    """
    rows = []
    for dataset, defense in itertools.product(labels.datasets, labels.trained_here):
        cell = histories[(histories["dataset"] == dataset) & (histories["defense"] == defense)]
        for seed, of_seed in cell.groupby("seed"):
            history = of_seed.sort_values("epoch", ignore_index=True)
            best, last = history.loc[history["pgd_accuracy"].idxmax()], history.iloc[-1]
            collapses = history["epoch"][is_collapsed(history)]
            rows.append(
                {
                    "dataset": dataset,
                    "defense": defense,
                    "seed": seed,
                    "epoch": int(best["epoch"]),
                    "pgd": best["pgd_accuracy"],
                    "last_epoch": int(last["epoch"]),
                    "last_pgd": last["pgd_accuracy"],
                    "last_fgsm": last["fgsm_accuracy"],
                    "last_alignment": last["alignment"],
                    "collapsed": int(collapses.iloc[0]) if len(collapses) else None,
                    "recovered": bool(len(collapses)) and last["pgd_accuracy"] >= best["pgd_accuracy"] / 2,
                    "test_last": _test_accuracy(evaluations, dataset, defense, seed),
                    "test_best": _test_accuracy(evaluations, dataset, defense + BEST, seed),
                }
            )
    return pd.DataFrame(rows).astype({"collapsed": "Int64", "test_last": "Float64", "test_best": "Float64"})


def is_collapsed(history: pd.DataFrame) -> pd.Series:
    """Whether a network that was robust is so no longer, while it withstands the single step, after each epoch of a history.

    Its accuracy under PGD has been `ROBUST`, is now below half of the highest so far, and below half of that under FGSM.
    """
    pgd = history["pgd_accuracy"]
    highest = pgd.cummax()
    return (highest >= ROBUST) & (pgd < highest / 2) & (pgd < history["fgsm_accuracy"] / 2)


def page(table: pd.DataFrame, labels: Labels, watched: str) -> list[Section]:
    """The page of an `overfitting_table`; `watched` says which images were watched."""
    note = (
        f"Accuracy in percent on {watched} after each epoch, under FGSM and under PGD from one random start. A training has "
        "collapsed where accuracy under PGD falls below half of its highest so far and below half of that under FGSM, once it "
        f"has been {ROBUST:.0%}; a classifier that never gets there is never robust. The cosine is that of the loss's "
        "gradients at an image and at its FGSM example: near 1 a single step says where to go, near 0 it does not. "
        f"{labels.trained}"
    )
    compared = bool(table["test_best"].notna().any())
    if compared:
        note += (
            "\n\nTest accuracy is under PGD of many starts, with the weights of the last epoch, which all other tables are "
            "about, and with those of the epoch that was best on the images held out."
        )
    sections = [Section("", note)]
    for dataset, title in labels.datasets.items():
        rows = table[table["dataset"] == dataset]
        shown = pd.DataFrame([_shown(row, labels, compared) for row in rows.to_dict("records")])
        sections.append(Section(title, table=shown, index=False))
    return sections


def _test_accuracy(evaluations: pd.DataFrame, dataset: str, classifier: str, seed: int) -> float | None:
    """Accuracy under PGD on the test images, None if it was not evaluated."""
    if evaluations.empty or classifier not in set(evaluations["defense"]):
        return None
    rows = select(evaluations, dataset, classifier, "PGD")
    return float(rows["accuracy"][rows["seed"] == seed].iloc[0])


def _shown(row: dict[str, Any], labels: Labels, compared: bool) -> dict[str, str]:
    """A row of the page."""
    shown = {
        "Classifier": labels.defenses[row["defense"]],
        "Seed": str(row["seed"]),
        "Collapsed": verdict(row),
        "PGD, best epoch": f"{100 * row['pgd']:.1f} (epoch {row['epoch']})",
        "PGD, last epoch": f"{100 * row['last_pgd']:.1f}",
        "FGSM, last epoch": f"{100 * row['last_fgsm']:.1f}",
        "Cosine, last epoch": f"{row['last_alignment']:.2f}",
    }
    if compared:
        tests = {"Test, last epoch": row["test_last"], "Test, best epoch": row["test_best"]}
        shown |= {name: "" if pd.isna(value) else f"{100 * value:.1f}" for name, value in tests.items()}
    return shown


def verdict(row: dict[str, Any]) -> str:
    """Whether and when a training of the table collapsed, such as "epoch 12, recovered"."""
    if pd.isna(row["collapsed"]):
        return "no" if row["pgd"] >= ROBUST else "never robust"
    return f"epoch {row['collapsed']}" + (", recovered" if row["recovered"] else "")
