"""Equal budgets: what each method makes of the same number of passes over a training image."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from advtrain.report import statistics
from advtrain.report.columns import STRONGEST, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid

COLUMNS = {STRONGEST: "worst case of BIM, PGD and AutoAttack", "Original": "clean images"}


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """A classifier that was trained within a budget."""

    classifier: str
    defense: str
    budget: int
    """Passes over a training image that its training may make."""
    epochs: int
    passes: float
    """Those that its whole epochs make."""


def budgets_table(evaluations: pd.DataFrame, trained: Sequence[Budgeted], datasets: Sequence[str]) -> pd.DataFrame:
    """Accuracy within each budget: a row for each data set, `column` of `COLUMNS` and classifier.

    The fields of `Budgeted`, and the figure's as of `statistics.figure`. The worst case is of the attacks in `evaluations`.
    Raises InputError where an evaluation is missing.
    """
    rows = []
    for dataset, column, one in itertools.product(datasets, COLUMNS, trained):
        found = statistics.figure(select(evaluations, dataset, one.classifier, column))
        rows.append({"dataset": dataset, "column": column, **asdict(one), **found})
    return pd.DataFrame(rows)


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of a `budgets_table`: how long each trained, then for each data set and column a row for each defense."""
    table = table.assign(title=table["defense"].map(labels.defenses), within=[f"{budget} passes" for budget in table["budget"]])
    strongest = table[table["column"] == STRONGEST]
    note = (
        "Each method with the same number of passes, forward and backward, over a training image. Epochs are whole, so some "
        "make a little more or less; periods of resets and schedules are stretched or shrunk with the epochs. "
        f"Test accuracy in percent on {strongest['examples'].max():,} images, clean on {table['examples'].max():,}: "
        f"{statistics.how_sure(table['seeds'])}. {labels.trained}"
    )
    lengths = strongest.drop_duplicates("classifier")
    epochs = [f"{row.epochs} ({row.passes:g})" for row in lengths.itertuples()]
    sections = [Section("", note), Section("Epochs (passes)", table=grid(lengths, epochs, "title", "within"))]
    for (dataset, title), (column, words) in itertools.product(labels.datasets.items(), COLUMNS.items()):
        rows = table[(table["dataset"] == dataset) & (table["column"] == column)]
        texts = [f"{row['mean']:.2f}{bracketed(row, '.1f')}" for row in rows.to_dict("records")]
        sections.append(Section(f"{title}: {words}", table=grid(rows, texts, "title", "within")))
    return sections
