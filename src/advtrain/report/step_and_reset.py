"""The step and the period of resets of Proposed, each pair trained: whether the paper's own choice may be the best one."""

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
    evaluations: pd.DataFrame,
    histories: pd.DataFrame,
    classifiers: Mapping[str, Sequence[int]],
    datasets: Sequence[str],
    epochs: int,
) -> pd.DataFrame:
    """Our figures with each step and period: a row for each data set, column of `COLUMNS` and classifier.

    `classifiers` are the step divisor and the epochs between two resets of each, by name; a period of `epochs` or more is
    `never`. `validation` is the mean accuracy under PGD on the images held out after the last epoch, of `histories`, in
    percent; NaN where these are empty. `difference`, `difference_lower`, `difference_upper` (points, by
    `statistics.difference`): the figure less that of the paper's choice, NaN for itself and where it was not trained. Raises
    InputError where an evaluation is missing.
    """
    ordered = sorted(classifiers.items(), key=lambda item: (-item[1][0], item[1][1]))
    last = histories[histories["epoch"] == epochs] if len(histories) else None
    rows = []
    for dataset, column in itertools.product(datasets, COLUMNS):
        cells = {tuple(choice): select(evaluations, dataset, name, column) for name, choice in ordered}
        held_out = {tuple(choice): _validation(last, dataset, name) for name, choice in ordered}
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
                    "validation": held_out[divisor, reset],
                    "difference": less.get("mean", math.nan),
                    "difference_lower": less.get("lower", math.nan),
                    "difference_upper": less.get("upper", math.nan),
                }
            )
    return pd.DataFrame(rows)


def is_picked(rows: pd.DataFrame) -> pd.Series:
    """Whether a row of one figure is the highest on the images held out, or of its means where none were.

    Several are where they are equal, but for rounding.
    """
    by = rows["validation"] if is_validated(rows) else rows["mean"]
    return by > by.max() - 1e-9


def is_validated(rows: pd.DataFrame) -> bool:
    """Whether images were held out to pick on."""
    return bool(rows["validation"].notna().all())


def is_papers(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is of the paper's own choice."""
    return (rows["step_divisor"] == PAPERS_CHOICE[0]) & (rows["reset_epochs"] == PAPERS_CHOICE[1])


def step(divisor: float) -> str:
    """The step of a divisor, such as "ε/10"."""
    return "ε" if divisor == 1 else f"ε/{divisor:g}"


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of an `ablation_table`: for each data set and measure its `answer` and the grid."""
    sections = [Section("", _note(table, labels))]
    for dataset, title in labels.datasets.items():
        for column in MEASURES:
            rows = table[(table["dataset"] == dataset) & (table["column"] == column)]
            sections.append(Section(f"{title}: {column}", answer(rows), _grid(rows)))
    return sections


def answer(rows: pd.DataFrame) -> str:
    """Which choice is the highest of one data set and column, and whether the paper's own may be the best, in sentences."""
    papers, others = rows[is_papers(rows)], rows[~is_papers(rows)]
    picked = rows[is_picked(rows)]
    leaders = "; ".join(map(_leader, picked.to_dict("records")))
    highest = "highest on the images held out" if is_validated(rows) else "highest"
    best = f"The {highest} of the {len(rows)} tried, {picked['mean'].max():.2f}% here: {leaders}."
    own = f"The paper's own choice, step {step(PAPERS_CHOICE[0])}, reset every {PAPERS_CHOICE[1]} epochs,"
    if papers.empty:
        return f"{best} {own} was not tried."
    reached = f"{papers['mean'].iloc[0]:.2f}%"
    if rows["seeds"].min() == 1:
        return f"{best} {own} reaches {reached}. One seed cannot tell their order."
    better, worse = (others["difference_lower"] > 0).sum(), (others["difference_upper"] < 0).sum()
    verdict = "does not seem to be the best" if better else "may be the best"
    by_chance = len(others) * (1 - statistics.LEVEL) / 2
    return (
        f"{best} {own} {verdict}: {reached}. Of the other {len(others)}, {better} are better and {worse} "
        f"are worse by more than the 95% interval; if all were equally good, about {by_chance:.1f} would look better by chance."
    )


def _validation(last: pd.DataFrame | None, dataset: str, name: str) -> float:
    """Mean accuracy of a classifier on the images held out, in percent; NaN where none were."""
    if last is None:
        return math.nan
    return 100 * float(last["pgd_accuracy"][(last["dataset"] == dataset) & (last["defense"] == name)].mean())


def _note(table: pd.DataFrame, labels: Labels) -> str:
    """What was measured, over how much, and what the intervals leave out."""
    seeds = int(table["seeds"].min())
    images = table.drop_duplicates("column").set_index("column")["examples"]
    measured = ", ".join(f"{column} on {images[column]:,} images" for column in MEASURES)
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    note = (
        f"Proposed with each step and period of resets, all else the same. Test accuracy in percent, {spread}: {measured}. "
        f"{labels.trained} "
    )
    if seeds == 1:
        return f"{note}One seed cannot tell the order of the choices."
    note += "Differences from the paper's choice are in points with 95% intervals over seeds, paired by seed."
    if is_validated(table):
        return f"{note}\n\nThe highest choice is picked on training images that were held out, under PGD after the last epoch."
    return (
        f"{note}\n\nThe highest choice is picked on the same images and seeds that it is then compared on, which favours it "
        "over the paper's: on others its lead may be smaller."
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
    interval = f", 95% interval {row['difference_lower']:+.2f} to {row['difference_upper']:+.2f}" if row["seeds"] > 1 else ""
    return f"{choice} ({row['difference']:+.2f} points from the paper's{interval})"


def _grid(rows: pd.DataFrame) -> pd.DataFrame:
    """A cell for each choice, such as "62.30 ± 0.40, the paper's, picked"."""
    records = rows.assign(picked=is_picked(rows), papers=is_papers(rows)).to_dict("records")
    texts = [
        f"{row['mean']:.2f}"
        + (f" ± {row['std']:.2f}" if pd.notna(row["std"]) else "")
        + (", the paper's" if row["papers"] else "")
        + (", picked" if row["picked"] else "")
        for row in records
    ]
    named = rows.assign(step=rows["step_divisor"].map(step), period=[_period(row).capitalize() for row in records])
    return grid(named, texts, "step", "period")
