"""The differences between each two classifiers, under every attack of Table I."""

from itertools import combinations, product

import pandas as pd

from advtrain.report.columns import ATTACKS, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid
from advtrain.report.statistics import difference, how_sure

COLUMNS = ["dataset", "column", "defense", "less", "mean", "std", "lower", "upper", "seeds", "examples"]


def differences(evaluations: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Accuracy of each classifier less that of each one before it, paired as `statistics.contrast` does.

    Args:
        evaluations: the evaluation table of all cells.
        labels: titles of the data sets and defenses, in order.

    Returns:
        `COLUMNS`, from `mean` to `upper` in points; no rows of a data set that one classifier runs on.

    Raises:
        InputError: an evaluation is missing.
    """
    rows = []
    for dataset in labels.datasets:
        for (less, defense), column in product(combinations(labels.on(dataset), 2), ATTACKS):
            found = difference(*(select(evaluations, dataset, name, column) for name in (defense, less)))
            rows.append({"dataset": dataset, "column": column, "defense": defense, "less": less, **found.percent()})
    return pd.DataFrame(rows, columns=COLUMNS)


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the differences: a row for each pair, a cell of text for each attack."""
    first, second = table["defense"].map(labels.defenses), table["less"].map(labels.defenses)
    table = table.assign(pair=first + " less " + second)
    sections = []
    if len(table):
        note = (
            f"Points of test accuracy, on the seeds and images that both have: {how_sure(table['seeds'])}. "
            "A difference shows where its interval over seeds excludes 0; one seed shows none."
        )
        sections.append(Section("", note))
    for dataset, title in labels.datasets.items():
        rows = table[table["dataset"] == dataset]
        if rows.empty:
            (only,) = labels.on(dataset).values()
            sections.append(Section(title, f"{only} is the only classifier here, so there is nothing to compare it with."))
        else:
            texts = [f"{row['mean']:+.2f}{bracketed(row, '+.1f')}" for row in rows.to_dict("records")]
            sections.append(Section(title, table=grid(rows, texts, "pair", "column")))
    return sections
