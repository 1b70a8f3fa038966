"""Robustness and price: accuracy under all attacks together against seconds per training epoch."""

import itertools
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, ScalarFormatter

from advtrain.report import statistics
from advtrain.report.columns import STRONGEST, select
from advtrain.report.labels import Labels
from advtrain.report.style import legend_below, panels, styles, without_images
from advtrain.system.errors import InputError

PAPERS = "BIM(10)"
"""The attack that the paper judges by."""


def pareto_table(evaluations: pd.DataFrame, timing: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Robust accuracy and price: a row for each data set, defense trained here and `measure`, `STRONGEST` or `PAPERS`.

    `seconds`, `seconds_lower`, `seconds_upper` per epoch are the median and quartiles of `timing.summarise`, `passes` the count
    of `passes.passes_per_image`. `frontier`: by the means over seeds no classifier is as robust and cheaper, or as cheap and
    more robust; None where one has one seed, which cannot tell their order. Raises InputError where an evaluation or a time
    is missing.
    """
    rows = []
    for dataset, defense in itertools.product(labels.datasets, labels.trained_here):
        if defense not in set(timing["defense"]):
            raise InputError(f"the training time of {defense} was not measured")
        for measure in (STRONGEST, PAPERS):
            outcomes = select(evaluations, dataset, defense, measure)
            rows.append({"dataset": dataset, "defense": defense, "measure": measure, **statistics.figure(outcomes)})
    price = timing.set_index("defense")[["seconds_median", "seconds_lower", "seconds_upper", "passes"]]
    table = pd.DataFrame(rows).join(price.rename(columns={"seconds_median": "seconds"}), on="defense")
    groups = table.groupby(["dataset", "measure"], sort=False)
    frontier = groups[["seconds", "mean"]].apply(_on_frontier).droplevel([0, 1]).astype("boolean")
    return table.assign(frontier=frontier.where(groups["seeds"].transform("min") > 1))


def _on_frontier(group: pd.DataFrame) -> pd.Series:
    """Whether no other in the group is at least as good in both and better in one."""

    def beaten(row: pd.Series) -> bool:
        as_good = (group["seconds"] <= row["seconds"]) & (group["mean"] >= row["mean"])
        better = (group["seconds"] < row["seconds"]) | (group["mean"] > row["mean"])
        return bool((as_good & better).any())

    return ~group.apply(beaten, axis=1)


def pareto_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `pareto_table`, a panel for each data set and a mark for each classifier.

    Filled: under all attacks together, with the interval over seeds. Hollow: under BIM(10), the paper's measure. The grey line
    joins the frontier, where it is known. The legend has the passes over an image in an epoch.
    """
    table = without_images(table)
    known = int(table["frontier"].any())
    figure, axes = panels(list(labels.datasets.values()), (4.6, 4.5), sharey=True)
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        rows = table[table["dataset"] == dataset]
        if known:
            frontier = rows[(rows["measure"] == STRONGEST) & rows["frontier"]].sort_values("seconds")
            line: dict[str, Any] = {"color": "grey", "linewidth": 1, "drawstyle": "steps-post", "zorder": 1}
            axis.plot(frontier["seconds"], frontier["mean"], label="No cheaper one is as robust on average", **line)
        for defense, style in styles(labels.defenses):
            if defense in labels.external:
                continue
            of_defense = rows[rows["defense"] == defense].set_index("measure")
            style["label"] += f" ({of_defense['passes'].iloc[0]:g} passes)"
            _draw_classifier(axis, of_defense, **style)
        axis.set(xlabel="Seconds per training epoch", ylabel="Test accuracy (%)", xscale="log", ylim=(-3, 103))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.minorticks_off()
        axis.grid(linewidth=0.4)
    marks = axes[0].get_legend_handles_labels()[0]
    filled, hollow = (
        Line2D([], [], color="black", marker="o", markerfacecolor=face, linestyle="none", label=label)
        for face, label in (("black", "Under all attacks together"), ("none", f"Under {PAPERS} alone"))
    )
    legend_below(figure, 3, [*marks[known:], filled, hollow, *marks[:known]])
    return figure


def _draw_classifier(axis: Axes, rows: pd.DataFrame, **style: Any) -> None:
    """The filled mark with its intervals, the hollow one, and a line between."""
    worst, papers = rows.loc[STRONGEST], rows.loc[PAPERS]
    x, y, colour = worst["seconds"], worst["mean"], style["color"]
    xerr = [[x - worst["seconds_lower"]], [worst["seconds_upper"] - x]]
    yerr = [[y - worst["lower"]], [worst["upper"] - y]]
    axis.errorbar(x, y, yerr, xerr, markeredgecolor="white", markersize=8, linestyle="none", **style)
    axis.plot([x, x], [y, papers["mean"]], color=colour, linestyle=":", linewidth=0.8)
    axis.plot(x, papers["mean"], style["marker"], color=colour, markerfacecolor="none", markersize=8)
