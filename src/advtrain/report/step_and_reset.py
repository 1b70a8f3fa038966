"""The step and the period of resets of Proposed, each pair trained: whether the paper's own choice is the best one."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from advtrain.report import paper, statistics
from advtrain.report.columns import select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section

PAPERS_CHOICE = (10, 20)
"""The paper's own step, epsilon / 10, and its epochs between two resets (Liu et al. 2019, Section IV)."""
COLUMNS = (*paper.COLUMNS, "PGD")
MEASURES = ("PGD", "BIM(10)")
"""Those on the page: the stronger attack, then the paper's."""


def ablation_table(
    evaluations: pd.DataFrame, classifiers: Mapping[str, Sequence[int]], datasets: Sequence[str], epochs: int
) -> pd.DataFrame:
    """Our figures with each step and period: a row for each figure.

    Args:
        evaluations: the evaluation table of all classifiers.
        classifiers: step divisor and epochs between two resets of each, by name.
        datasets: names of the data sets, in order.
        epochs: length of the training; a period of as many or more is never.

    Returns:
        Columns `dataset`, `step_divisor`, `reset_epochs`, `never`, `column` (of `COLUMNS`), `mean`, `std`, `lower`, `upper`
        (percent, 95% interval), `seeds`, `examples`, and `difference`, `difference_lower`, `difference_upper` (points, paired):
        the figure less that of the paper's choice, NaN for itself and where it was not trained.

    Raises:
        InputError: an evaluation is missing.
    """
    by_choice = {tuple(choice): name for name, choice in sorted(classifiers.items(), key=lambda item: _order(item[1]))}
    rows = []
    for dataset in datasets:
        for column in COLUMNS:
            cells = {choice: select(evaluations, dataset, name, column) for choice, name in by_choice.items()}
            for (divisor, reset), cell in cells.items():
                rows.append(
                    {
                        "dataset": dataset,
                        "step_divisor": divisor,
                        "reset_epochs": reset,
                        "never": reset >= epochs,
                        "column": column,
                        **statistics.figure(cell),
                        **_difference((divisor, reset), cells),
                    }
                )
    return pd.DataFrame(rows)


def is_best(rows: pd.DataFrame) -> pd.Series:
    """Whether a row of one figure has the best of its means; several do where they are equal, but for rounding."""
    return rows["mean"] > rows["mean"].max() - 1e-9


def is_papers(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is of the paper's own choice."""
    return (rows["step_divisor"] == PAPERS_CHOICE[0]) & (rows["reset_epochs"] == PAPERS_CHOICE[1])


def wide(rows: pd.DataFrame, values: str) -> pd.DataFrame:
    """A column of the rows of one figure as a grid: a row for each step, the smallest first, a column for each period."""
    return rows.pivot(index="step_divisor", columns="reset_epochs", values=values).sort_index(ascending=False)


def step(divisor: float) -> str:
    """The step of a divisor, such as "ε/10"."""
    return "ε" if divisor == 1 else f"ε/{divisor:g}"


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the grid: for each data set and measure whether the paper's choice is the best, and steps by periods.

    Args:
        table: the table of `ablation_table`.
        labels: titles of the data sets, in order, and how the classifiers were trained.
    """
    sections = [Section("", _note(table, labels))]
    for dataset, title in labels.datasets.items():
        for column in MEASURES:
            rows = table[(table["dataset"] == dataset) & (table["column"] == column)]
            sections.append(Section(f"{title}: {column}", answer(rows), _text(rows)))
    return sections


def answer(rows: pd.DataFrame) -> str:
    """Whether the paper's own choice lies at the optimum, in sentences.

    Args:
        rows: those of one data set and column.
    """
    best, papers, others = rows[is_best(rows)], rows[is_papers(rows)], rows[~is_papers(rows)]
    tried, top = len(rows), f"{rows['mean'].max():.2f}%"
    leaders = best[~is_papers(best)].to_dict("records")
    names = "; ".join(map(_choice, leaders))
    if papers.empty:
        return (
            f"The best of the {tried} tried is {names}: {top}. The paper's own choice, a step of {step(PAPERS_CHOICE[0])} "
            f"with a reset every {PAPERS_CHOICE[1]} epochs, is not among them: whether it lies at the optimum cannot be told."
        )
    own = f"The paper's own choice, {_choice(papers.to_dict('records')[0])},"
    better, worse = int((others["difference_lower"] > 0).sum()), int((others["difference_upper"] < 0).sum())
    counted = f"Better than it by more than the 95% interval: {better} of the other {len(others)}. Worse: {worse}."
    if is_papers(best).any():
        shared = f", together with {names}" if leaders else ""
        return f"{own} lies at the optimum of the {tried} tried: {top}{shared}. {counted}"
    leads = "; ".join(map(_lead, leaders))
    compared = f"it has {papers['mean'].iloc[0]:.2f}%; the best of the {tried} tried has {top}: {leads}."
    if not better:
        return f"{own} may lie at the optimum, as no other choice is clearly better: {compared} {counted}"
    by_chance = len(others) * (1 - statistics.LEVEL) / 2
    chance = f"If all were equally good, chance alone would make about {by_chance:.1f} look better."
    return f"{own} does not seem to lie at the optimum: {compared} {counted} {chance}"


def _order(choice: Sequence[int]) -> tuple[int, int]:
    """Small steps first, then short periods."""
    divisor, reset = choice
    return -divisor, reset


def _difference(choice: tuple[int, int], cells: Mapping[tuple[int, ...], pd.DataFrame]) -> dict[str, float]:
    """A choice's figure less that of the paper's choice, in points."""
    names = {"difference": "mean", "difference_lower": "lower", "difference_upper": "upper"}
    if choice == PAPERS_CHOICE or PAPERS_CHOICE not in cells:
        return dict.fromkeys(names, float("nan"))
    found = statistics.difference(cells[choice], cells[PAPERS_CHOICE]).percent()
    return {name: found[of] for name, of in names.items()}


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


def _choice(row: Mapping[str, Any]) -> str:
    """Such as "a step of ε/10 with a reset every 20 epochs"."""
    return f"a step of {step(row['step_divisor'])} with {'no reset' if row['never'] else f'a reset {_period(row)}'}"


def _period(row: Mapping[str, Any]) -> str:
    """Such as "every 20 epochs"."""
    if row["never"]:
        return "never"
    return "every epoch" if row["reset_epochs"] == 1 else f"every {row['reset_epochs']} epochs"


def _lead(row: Mapping[str, Any]) -> str:
    """One of the best choices, and what it is above the paper's."""
    interval = f"{row['difference_lower']:+.2f} to {row['difference_upper']:+.2f}"
    return f"{_choice(row)} ({row['difference']:+.2f} points, 95% interval {interval})"


def _text(rows: pd.DataFrame) -> pd.DataFrame:
    """A cell of text for each choice, the paper's and the best marked."""
    marked = rows.assign(best=is_best(rows), papers=is_papers(rows))
    cells = marked.assign(text=[_cell_text(row) for row in marked.to_dict("records")])
    periods = {row["reset_epochs"]: _period(row).capitalize() for row in rows.to_dict("records")}
    return wide(cells, "text").rename(index=step, columns=periods).rename_axis(index=None, columns=None)


def _cell_text(row: Mapping[str, Any]) -> str:
    """Such as "62.30 ± 0.40, the paper's, best"."""
    spread = f" ± {row['std']:.2f}" if pd.notna(row["std"]) else ""
    marks = (", the paper's" if row["papers"] else "") + (", best" if row["best"] else "")
    return f"{row['mean']:.2f}{spread}{marks}"
