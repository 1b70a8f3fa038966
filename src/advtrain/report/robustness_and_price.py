"""Robustness and price: accuracy under all attacks together against seconds per training epoch."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, ScalarFormatter

from advtrain.evaluation.table import evaluation_row, unpack_outcomes
from advtrain.report import statistics
from advtrain.report.columns import select
from advtrain.report.labels import Labels
from advtrain.report.style import legend_below, panels, styles
from advtrain.system.errors import InputError

WORST, PAPERS = "worst of all attacks", "BIM(10)"


def pareto_table(evaluations: pd.DataFrame, timing: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Robust accuracy and price of each classifier: a row for each measure of robustness.

    Args:
        evaluations: the evaluation table of all cells.
        timing: the table of `timing.summarise`.
        labels: titles of the data sets and defenses, in order.

    Returns:
        Columns `dataset`, `defense`, `measure` (`WORST` or `PAPERS`), `mean`, `std`, `lower`, `upper` (percent, 95% interval),
        `seeds`, `examples`, `seconds`, `seconds_lower`, `seconds_upper` (per epoch: median, quartiles), and `frontier`: no
        classifier is as robust by this measure and cheaper, or as cheap and more robust.

    Raises:
        InputError: an evaluation or a time is missing.
    """
    seconds = timing.set_index("defense")
    rows = []
    for dataset, defense in itertools.product(labels.datasets, labels.defenses):
        if defense not in seconds.index:
            raise InputError(f"the training time of {defense} was not measured")
        cell = evaluations[(evaluations["dataset"] == dataset) & (evaluations["defense"] == defense)]
        for measure, of_measure in ((WORST, worst_case(cell)), (PAPERS, select(cell, dataset, defense, PAPERS))):
            times = {"seconds": "median", "seconds_lower": "lower", "seconds_upper": "upper"}
            rows.append(
                {
                    "dataset": dataset,
                    "defense": defense,
                    "measure": measure,
                    **statistics.figure(of_measure),
                    **{column: seconds.loc[defense, f"seconds_{of}"] for column, of in times.items()},
                }
            )
    table = pd.DataFrame(rows)
    frontiers = table.groupby(["dataset", "measure"], sort=False)[["seconds", "mean"]].apply(_on_frontier)
    return table.assign(frontier=frontiers.droplevel([0, 1]))


def worst_case(cell: pd.DataFrame) -> pd.DataFrame:
    """The evaluation table's rows, one for each seed, of an attacker who has every attack of a cell.

    An image is right if it withstood all; only the images that all attacked count.

    Args:
        cell: the evaluation table's rows of one classifier, clean images included.
    """
    rows = []
    for seed, of_seed in cell.groupby("seed"):
        images = int(of_seed["examples"].min())
        outcomes = [unpack_outcomes(row.outcomes, images) for row in of_seed.itertuples()]
        right = np.logical_and.reduce(outcomes)
        rows.append(
            {"seed": seed, **evaluation_row(WORST, right, epsilon=of_seed["epsilon"].max(), step_size=None, iterations=0)}
        )
    return pd.DataFrame(rows)


def pareto_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """Robust accuracy against seconds per epoch, a panel for each data set and a mark for each classifier.

    Filled, with an interval: under all attacks together. Hollow: under BIM(10), the paper's measure. The grey line joins the
    classifiers that no other beats in both robustness and price.

    Args:
        table: the table of `pareto_table`.
        labels: titles of the data sets and defenses, in order.
    """
    figure, axes = panels(list(labels.datasets.values()), (4.6, 4.5), sharey=True)
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        rows = table[table["dataset"] == dataset]
        frontier = rows[(rows["measure"] == WORST) & rows["frontier"]].sort_values("seconds")
        best: dict[str, Any] = {
            "color": "grey",
            "linewidth": 1,
            "drawstyle": "steps-post",
            "label": "No cheaper one is as robust",
        }
        axis.plot(frontier["seconds"], frontier["mean"], zorder=1, **best)
        for defense, style in styles(labels.defenses):
            _draw_classifier(axis, rows[rows["defense"] == defense].set_index("measure"), **style)
        axis.set(xlabel="Seconds per training epoch", ylabel="Test accuracy (%)", xscale="log", ylim=(-3, 103))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.minorticks_off()
        axis.grid(linewidth=0.4)
    joined, *classifiers = axes[0].get_legend_handles_labels()[0]
    filled, hollow = (
        Line2D([], [], color="black", marker="o", markerfacecolor=face, linestyle="none", label=label)
        for face, label in (("black", "Under all attacks together"), ("none", f"Under {PAPERS} alone"))
    )
    legend_below(figure, [*classifiers, filled, hollow, joined], 3)
    return figure


def _on_frontier(group: pd.DataFrame) -> pd.Series:
    """Whether no other in the group is at least as good in both and better in one."""
    better = [
        ((group["seconds"] <= row.seconds) & (group["mean"] >= row.mean))
        & ((group["seconds"] < row.seconds) | (group["mean"] > row.mean))
        for row in group.itertuples()
    ]
    return pd.Series([not beaten.any() for beaten in better], group.index)


def _draw_classifier(axis: Axes, rows: pd.DataFrame, **style: Any) -> None:
    """The filled mark with its intervals, the hollow one, and a line between."""
    worst, papers = rows.loc[WORST], rows.loc[PAPERS]
    axis.errorbar(
        worst["seconds"],
        worst["mean"],
        xerr=[[worst["seconds"] - worst["seconds_lower"]], [worst["seconds_upper"] - worst["seconds"]]],
        yerr=[[worst["mean"] - worst["lower"]], [worst["upper"] - worst["mean"]]],
        markeredgecolor="white",
        markersize=8,
        linestyle="none",
        **style,
    )
    plain = {"color": style["color"], "linestyle": ":", "linewidth": 0.8}
    axis.plot([worst["seconds"]] * 2, [worst["mean"], papers["mean"]], **plain)
    axis.plot(papers["seconds"], papers["mean"], style["marker"], color=style["color"], markerfacecolor="none", markersize=8)
