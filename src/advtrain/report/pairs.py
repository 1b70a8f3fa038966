"""The differences between each two classifiers, under every attack of Table I."""

import itertools

import pandas as pd

from advtrain.report import statistics
from advtrain.report.columns import ATTACKS, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section


def differences(evaluations: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Accuracy of each classifier less that of each one before it, paired by seed, or by image where there is one seed.

    Args:
        evaluations: the evaluation table of all cells.
        labels: titles of the data sets and defenses, in order.

    Returns:
        Columns `dataset`, `column`, `defense`, `less`, `mean`, `std`, `lower`, `upper` (points), `seeds`.

    Raises:
        InputError: an evaluation is missing.
    """
    rows = []
    for dataset, (less, defense), column in itertools.product(
        labels.datasets, itertools.combinations(labels.defenses, 2), ATTACKS
    ):
        found = statistics.difference(*(select(evaluations, dataset, name, column) for name in (defense, less)))
        key = {"dataset": dataset, "column": column, "defense": defense, "less": less}
        rows.append({**key, **found.percent(), "seeds": found.seeds})
    return pd.DataFrame(rows)


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the differences: a row for each pair, a cell of text for each attack."""
    text = table.assign(
        pair=[f"{labels.defenses[a]} less {labels.defenses[b]}" for a, b in zip(table["defense"], table["less"], strict=True)],
        text=[f"{row.mean:+.2f} ({row.lower:+.1f} to {row.upper:+.1f})" for row in table.itertuples()],
    )
    paired = "seed" if table["seeds"].max() > 1 else "image (of one seed, which leaves out the variation between seeds)"
    note = f"Points of test accuracy with 95% intervals, paired by {paired}. A difference shows where its interval excludes 0."
    sections = []
    for dataset, title in labels.datasets.items():
        wide = text[text["dataset"] == dataset].pivot(index="pair", columns="column", values="text")
        sections.append(
            Section(title, table=wide.loc[text["pair"].unique(), list(ATTACKS)].rename_axis(index=None, columns=None))
        )
    return [Section("", note), *sections]
