"""The step and the period of resets of Proposed, each pair trained: whether the paper's own choice is the best one."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from advtrain.report import paper, statistics
from advtrain.report.columns import select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, grid

PAPERS_CHOICE = (10, 20)
"""The paper's own step, epsilon / 10, and its epochs between two resets (Liu et al. 2019, Section IV)."""
COLUMNS = (*paper.COLUMNS, "PGD")
MEASURES = ("PGD", "BIM(10)")
"""Those on the page: the stronger attack, then the paper's."""


def ablation_table(
    evaluations: pd.DataFrame, classifiers: Mapping[str, Sequence[int]], datasets: Sequence[str], epochs: int
) -> pd.DataFrame:
    """Our figures with each step and period: a row for each data set, column of `COLUMNS` and classifier.

    `classifiers` are the step divisor and the epochs between two resets of each, by name; a period of `epochs` or more is
    `never`. `difference`, `difference_lower`, `difference_upper` (points, paired): the figure less that of the paper's choice,
    NaN for itself and where it was not trained. Raises InputError where an evaluation is missing.
    """
    ordered = sorted(classifiers.items(), key=lambda item: (-item[1][0], item[1][1]))
    rows = []
    for dataset, column in itertools.product(datasets, COLUMNS):
        cells = {tuple(choice): select(evaluations, dataset, name, column) for name, choice in ordered}
        for (divisor, reset), cell in cells.items():
            compared = (divisor, reset) != PAPERS_CHOICE and PAPERS_CHOICE in cells
            less = statistics.difference(cell, cells[PAPERS_CHOICE]).percent() if compared else {}
            rows.append(
                {
                    "dataset": dataset,
                    "step_divisor": divisor,
                    "reset_epochs": reset,
                    "never": reset >= epochs,
                    "column": column,
                    **statistics.figure(cell),
                    "difference": less.get("mean", math.nan),
                    "difference_lower": less.get("lower", math.nan),
                    "difference_upper": less.get("upper", math.nan),
                }
            )
    return pd.DataFrame(rows)


def is_best(rows: pd.DataFrame) -> pd.Series:
    """Whether a row of one figure has the best of its means; several do where they are equal, but for rounding."""
    return rows["mean"] > rows["mean"].max() - 1e-9


def is_papers(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is of the paper's own choice."""
    return (rows["step_divisor"] == PAPERS_CHOICE[0]) & (rows["reset_epochs"] == PAPERS_CHOICE[1])


def step(divisor: float) -> str:
    """The step of a divisor, such as "ε/10"."""
    return "ε" if divisor == 1 else f"ε/{divisor:g}"


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of an `ablation_table`: for each data set and measure, whether the paper's choice is the best, and the grid."""
    sections = [Section("", _note(table, labels))]
    for dataset, title in labels.datasets.items():
        for column in MEASURES:
            rows = table[(table["dataset"] == dataset) & (table["column"] == column)]
            sections.append(Section(f"{title}: {column}", answer(rows), _grid(rows)))
    return sections


def answer(rows: pd.DataFrame) -> str:
    """Which choice is the best of one data set and column, and whether it is the paper's own, in sentences."""
    papers, others = rows[is_papers(rows)], rows[~is_papers(rows)]
    leaders = "; ".join(map(_leader, rows[is_best(rows)].to_dict("records")))
    best = f"The best of the {len(rows)} tried, {rows['mean'].max():.2f}%: {leaders}."
    own = f"The paper's own choice, step {step(PAPERS_CHOICE[0])}, reset every {PAPERS_CHOICE[1]} epochs,"
    if papers.empty:
        return f"{best} {own} was not tried."
    verdict = "may be the best"
    better, worse = (others["difference_lower"] > 0).sum(), (others["difference_upper"] < 0).sum()
    if (is_best(rows) & is_papers(rows)).any():
        verdict = "is the best"
    elif better:
        verdict = "does not seem to be the best"
    by_chance = len(others) * (1 - statistics.LEVEL) / 2
    return (
        f"{best} {own} {verdict}: {papers['mean'].iloc[0]:.2f}%. Of the other {len(others)}, {better} are better and {worse} "
        f"are worse by more than the 95% interval; if all were equally good, about {by_chance:.1f} would look better by chance."
    )


def _note(table: pd.DataFrame, labels: Labels) -> str:
    """What was measured, over how much, and what the intervals leave out."""
    seeds = int(table["seeds"].max())
    images = table.drop_duplicates("column").set_index("column")["examples"]
    measured = ", ".join(f"{column} on {images[column]:,} images" for column in MEASURES)
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    luck = "" if seeds > 1 else " With another seed, the choices may be in another order."
    return (
        f"Proposed with each step and period of resets, all else the same. Test accuracy in percent, {spread}: {measured}. "
        f"{labels.trained} Differences from the paper's choice are in points with 95% intervals, paired by "
        f"{'seed' if seeds > 1 else 'image'}.\n\n"
        "The best choice is picked on the same images that it is then compared on, which favours it over the paper's: on other "
        f"images its lead may be smaller.{luck}"
    )


def _period(row: Mapping[str, Any]) -> str:
    """Such as "every 20 epochs"."""
    if row["never"]:
        return "never"
    return "every epoch" if row["reset_epochs"] == 1 else f"every {row['reset_epochs']} epochs"


def _leader(row: Mapping[str, Any]) -> str:
    """A choice, and what it is above the paper's where that is another one."""
    choice = f"step {step(row['step_divisor'])}, reset {_period(row)}"
    if pd.isna(row["difference"]):
        return choice
    interval = f"{row['difference_lower']:+.2f} to {row['difference_upper']:+.2f}"
    return f"{choice} ({row['difference']:+.2f} points from the paper's, 95% interval {interval})"


def _grid(rows: pd.DataFrame) -> pd.DataFrame:
    """A cell for each choice, such as "62.30 ± 0.40, the paper's, best"."""
    records = rows.assign(best=is_best(rows), papers=is_papers(rows)).to_dict("records")
    texts = [
        f"{row['mean']:.2f}"
        + (f" ± {row['std']:.2f}" if pd.notna(row["std"]) else "")
        + (", the paper's" if row["papers"] else "")
        + (", best" if row["best"] else "")
        for row in records
    ]
    named = rows.assign(step=rows["step_divisor"].map(step), period=[_period(row).capitalize() for row in records])
    return grid(named, texts, "step", "period")
