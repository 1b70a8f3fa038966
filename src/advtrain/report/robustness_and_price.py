"""Robustness and price: accuracy under all attacks together against what the training costs, in seconds and in passes."""

import itertools
from collections.abc import Mapping
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, ScalarFormatter

from advtrain.report import statistics
from advtrain.report.columns import STRONGEST, select
from advtrain.report.labels import Labels
from advtrain.report.price import prices
from advtrain.report.style import escape_mathtext, legend_below, panels, styles, without_images

LINE = "No cheaper one is as robust on average"
PAPERS = "BIM(10)"
"""The attack that the paper judges by."""
AXES = {"seconds": "Seconds of the training", "passes": "Passes over a training image"}
FEW = 9
"""Classifiers for which small panels are enough."""
LETTERS_PER_INCH = 14
"""Of the names of the frontier."""


def pareto_table(evaluations: pd.DataFrame, timing: pd.DataFrame, epochs: Mapping[str, int], labels: Labels) -> pd.DataFrame:
    """Robust accuracy and price: a row for each data set, defense trained here and `measure`, `STRONGEST` or `PAPERS`.

    The price has the columns of `price.prices`, for the whole training. `guesses`: by the means over seeds it is no better than
    chance on clean or on attacked images. `frontier_seconds` and `frontier_passes`: it does not guess, and no classifier that
    does not is as robust and cheaper, or as cheap and more robust; None where one has one seed, which cannot tell their order.

    Raises InputError where an evaluation or a time is missing.
    """
    price = prices(timing, {defense: epochs[defense] for defense in labels.trained_here})
    rows = []
    for dataset, defense in itertools.product(labels.datasets, labels.trained_here):
        clean = statistics.figure(select(evaluations, dataset, defense, "Original"))["mean"]
        for measure in (STRONGEST, PAPERS):
            outcomes = select(evaluations, dataset, defense, measure)
            found = statistics.figure(outcomes)
            guesses = min(found["mean"], clean) <= 100 * outcomes["chance"].iloc[0]
            rows.append({"dataset": dataset, "defense": defense, "measure": measure, **found, "guesses": guesses})
    table = pd.DataFrame(rows).join(price, on="defense")
    groups = table.groupby(["dataset", "measure"], sort=False)
    several = groups["seeds"].transform("min") > 1
    for cost in AXES:
        frontier = pd.concat([_on_frontier(group[cost], group["mean"].mask(group["guesses"])) for _, group in groups])
        table[f"frontier_{cost}"] = frontier.astype("boolean").where(several)
    return table


def _on_frontier(costs: pd.Series, means: pd.Series) -> pd.Series:
    """Whether one has a mean, and no other is at least as good in both and better in one."""

    def beaten(cost: float, mean: float) -> bool:
        return bool(((costs <= cost) & (means >= mean) & ((costs < cost) | (means > mean))).any())

    return pd.Series([not beaten(*pair) for pair in zip(costs, means, strict=True)], index=means.index) & means.notna()


def pareto_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `pareto_table`: a row of panels for each data set, by seconds and by passes, a mark for each classifier.

    Filled: under all attacks together, with the interval over seeds. Hollow: under BIM(10), the paper's measure. The grey line
    joins the frontier, where it is known; the names below a panel are those on it, the cheapest first.
    """
    table, names = without_images(table), labels.trained_here
    width, height, columns = (5.0, 3.8, 3) if len(names) <= FEW else (6.4, 5.2, 4)
    shown = list(itertools.product(labels.datasets, AXES))
    size = (width, height * len(labels.datasets) + 0.2 * len(names) / columns + 0.6)
    figure, axes = panels([labels.datasets[dataset] for dataset, _ in shown], size, rows=len(labels.datasets), sharey=True)
    for axis, (dataset, cost) in zip(axes, shown, strict=True):
        rows = table[table["dataset"] == dataset]
        on_frontier = (rows["measure"] == STRONGEST) & rows[f"frontier_{cost}"].fillna(False)
        frontier = rows[on_frontier].sort_values(cost)
        if len(frontier):
            line: dict[str, Any] = {"color": "grey", "linewidth": 1, "drawstyle": "steps-post", "zorder": 1}
            axis.plot(frontier[cost], frontier["mean"], label=LINE, **line)
        for defense, style in styles(labels.defenses):
            if defense in names:
                _draw_classifier(axis, rows[rows["defense"] == defense].set_index("measure"), cost, **style)
        on_it = escape_mathtext("; ".join(names[defense] for defense in frontier["defense"]))
        below = "\n" + fill(f"On the line: {on_it}", int(LETTERS_PER_INCH * width)) if on_it else ""
        axis.set(xlabel=AXES[cost] + below, ylabel="Test accuracy (%)", xscale="log", ylim=(-3, 103))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.minorticks_off()
        axis.grid(linewidth=0.4)
    handles = {handle.get_label(): handle for handle in axes[0].get_legend_handles_labels()[0]}
    lines = [handles.pop(LINE)] if LINE in handles else []
    filled, hollow = (
        Line2D([], [], color="black", marker="o", markerfacecolor=face, linestyle="none", label=label)
        for face, label in (("black", "Under all attacks together"), ("none", f"Under {PAPERS} alone"))
    )
    legend_below(figure, columns, [*handles.values(), filled, hollow, *lines])
    return figure


def _draw_classifier(axis: Axes, rows: pd.DataFrame, cost: str, **style: Any) -> None:
    """The filled mark with its intervals, the hollow one, and a line between; a count of passes has no interval."""
    worst, papers = rows.loc[STRONGEST], rows.loc[PAPERS]
    x, y, colour = worst[cost], worst["mean"], style["color"]
    xerr = [[x - worst["seconds_lower"]], [worst["seconds_upper"] - x]] if cost == "seconds" else None
    yerr = [[y - worst["lower"]], [worst["upper"] - y]]
    axis.errorbar(x, y, yerr, xerr, markeredgecolor="white", markersize=8, linestyle="none", **style)
    axis.plot([x, x], [y, papers["mean"]], color=colour, linestyle=":", linewidth=0.8)
    axis.plot(x, papers["mean"], style["marker"], color=colour, markerfacecolor="none", markersize=6, markeredgewidth=0.8)
