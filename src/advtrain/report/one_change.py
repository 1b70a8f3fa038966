"""From one method to another, one change at a time: what each change does."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from advtrain.report import statistics
from advtrain.report.columns import STRONGEST, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid
from advtrain.report.price import prices

COLUMNS = ("Original", "BIM(30)", "PGD", STRONGEST)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A classifier on the way."""

    defense: str
    change: str
    """From the rung before or from `base`; of the first, what it is."""
    base: str | None = None
    """The classifier of an earlier rung that it differs from, if that is not the one before."""


def ladder_table(
    evaluations: pd.DataFrame, timing: pd.DataFrame, rungs: Sequence[Rung], epochs: Mapping[str, int], datasets: Sequence[str]
) -> pd.DataFrame:
    """Accuracy on each rung: a row for each data set, `column` of `COLUMNS` and rung, in order.

    `rung` from 1, `defense`, `change`, `base`, the rung that it is compared with, 0 for the first; the figure as of
    `statistics.figure`; `difference`, `difference_lower`, `difference_upper`: the figure less that of the base, in points,
    paired by the `difference_seeds` that both have, as of `statistics.contrast`, NaN on the first; the price of the whole
    training as of `price.prices`. Raises InputError where an evaluation or a time is missing.
    """
    price = prices(timing, {rung.defense: epochs[rung.defense] for rung in rungs})
    places = {rung.defense: number for number, rung in enumerate(rungs)}
    rows = []
    for dataset, column in itertools.product(datasets, COLUMNS):
        cells = [select(evaluations, dataset, rung.defense, column) for rung in rungs]
        for number, (rung, cell) in enumerate(zip(rungs, cells, strict=True)):
            base = places[rung.base] if rung.base else number - 1
            less = statistics.difference(cell, cells[base]).percent() if number else {}
            rows.append(
                {
                    "dataset": dataset,
                    "column": column,
                    "rung": number + 1,
                    "defense": rung.defense,
                    "change": rung.change,
                    "base": base + 1,
                    **statistics.figure(cell),
                    "difference": less.get("mean", math.nan),
                    "difference_seeds": less.get("seeds", 0),
                    "difference_lower": less.get("lower", math.nan),
                    "difference_upper": less.get("upper", math.nan),
                }
            )
    return pd.DataFrame(rows).join(price, on="defense")


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of a `ladder_table`: for each data set the accuracies with the price, and the differences."""
    examples = table.drop_duplicates("column").set_index("column")["examples"]
    images = ", ".join(f"{column} on {examples[column]:,}" for column in COLUMNS)
    note = (
        "Each classifier differs from the one above it, or from the one whose number it names, in the change that is named. "
        f"Test accuracy in percent: {statistics.how_sure(table['seeds'])}. Test images: {images}; {STRONGEST} is the worst "
        "case of all attacks. Seconds, and passes over a training image, forward and backward, are of the whole training. "
        "A change shows where the interval of its difference, paired by seed, excludes 0; one seed shows none. "
        f"{labels.trained}"
    )
    table = table.assign(name=list(map(name, table.itertuples())))
    sections = [Section("", note)]
    for dataset, title in labels.datasets.items():
        rows = table[table["dataset"] == dataset]
        texts = [f"{row['mean']:.2f}{bracketed(row, '.1f')}" for row in rows.to_dict("records")]
        reached = grid(rows, texts, "name", "column")
        price = rows.drop_duplicates("rung").set_index("name")
        reached["Passes"] = [f"{passes:,g}" for passes in price["passes"]]
        reached["Seconds"] = [f"{seconds:,.0f}" for seconds in price["seconds"]]
        later = rows[rows["rung"] > 1]
        changes = grid(later, map(_difference, later.to_dict("records")), "name", "column")
        sections += [
            Section(title, table=reached),
            Section(f"{title}: less the one that it differs from, in points", table=changes),
        ]
    return sections


def name(row: Any) -> str:
    """What a row of a `ladder_table` is called, such as "3. no resets" or "13. from 5: SGD"."""
    beside = "" if row.base == row.rung - 1 else f"from {row.base}: "
    return f"{row.rung}. {beside}{row.change}"


def _difference(row: Mapping[str, Any]) -> str:
    """Such as "+1.20 (-0.3 to +2.7)"."""
    interval = {"seeds": row["difference_seeds"], "lower": row["difference_lower"], "upper": row["difference_upper"]}
    return f"{row['difference']:+.2f}{bracketed(interval, '+.1f')}"
