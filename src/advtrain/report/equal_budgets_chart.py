"""Robustness against the budget of passes, a line for each method."""

import pandas as pd
from matplotlib.figure import Figure

from advtrain.report.columns import STRONGEST
from advtrain.report.labels import Labels
from advtrain.report.style import legend_below, panels, styles, without_images

WIDTH = 0.7
"""Of a budget's marks side by side, where 1 is the distance of two budgets."""


def budgets_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `equal_budgets.budgets_table` in the worst case: a panel for each data set, a line for each defense.

    Marks of a budget stand side by side; a bar is the 95% interval over seeds, and one seed has none.
    """
    rows = without_images(table[table["column"] == STRONGEST])
    budgets, defenses = list(rows["budget"].unique()), list(rows["defense"].unique())
    figure, axes = panels(list(labels.datasets.values()), (6.2, 4.4 + 0.06 * len(defenses)), sharey=True)
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        for defense, style in styles(labels.defenses):
            line = rows[(rows["dataset"] == dataset) & (rows["defense"] == defense)]
            if line.empty:
                continue
            beside = WIDTH * ((defenses.index(defense) + 0.5) / len(defenses) - 0.5)
            at = [budgets.index(budget) + beside for budget in line["budget"]]
            bars = [line["mean"] - line["lower"], line["upper"] - line["mean"]]
            axis.errorbar(at, line["mean"], bars, linewidth=0.5, elinewidth=1.2, markersize=5, **style)
        axis.set(xlabel="Budget, in passes over a training image", ylabel="Test accuracy, worst case (%)", ylim=(-3, 103))
        axis.set_xticks(range(len(budgets)), [str(budget) for budget in budgets])
        axis.grid(axis="y", linewidth=0.4)
    legend_below(figure, 5 if len(axes) > 1 else 3)
    return figure
