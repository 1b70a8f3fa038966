"""The choices that the paper leaves open as a chart of dots."""

from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from advtrain.report.labels import Labels
from advtrain.report.style import escape_mathtext, legend_below, panels, styles, without_images

COLUMNS = ("BIM(30)", "PGD")
"""The paper's strongest attack, and ours with many starts."""


def choices_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `open_choices.variants_table`: a panel for each data set and attack, a group of dots for each defense.

    A dot is the mean over seeds under one choice, its bar the 95% interval; one seed has none. A line is the paper's figure.
    """
    rows = without_images(table)
    defenses, choices = list(rows["defense"].unique()), list(rows["choice"].unique())
    height = len(choices) + 1  # of a group, in dots
    shown = list(product(labels.datasets, COLUMNS))
    size = (4.6 if len(shown) < 4 else 3.6, 1.8 + 0.16 * height * len(defenses))
    figure, axes = panels([labels.datasets[dataset] for dataset, _ in shown], size, sharey=True)
    for axis, (dataset, column) in zip(axes, shown, strict=True):
        of_panel = rows[(rows["dataset"] == dataset) & (rows["column"] == column)]
        for place, (choice, style) in enumerate(styles({choice: choice for choice in choices})):
            dots = of_panel[of_panel["choice"] == choice]
            at = [height * defenses.index(defense) + place for defense in dots["defense"]]
            bars = [dots["mean"] - dots["lower"], dots["upper"] - dots["mean"]]
            axis.errorbar(dots["mean"], at, xerr=bars, linestyle="none", markersize=5, elinewidth=1, **style)
        printed = of_panel.drop_duplicates("defense").dropna(subset="paper")
        if len(printed):
            groups = [height * defenses.index(defense) for defense in printed["defense"]]
            below, above = ([group + edge for group in groups] for edge in (-0.5, height - 1.5))
            axis.vlines(printed["paper"], below, above, color="black", linewidth=1, label="The paper")
        axis.set(xlabel=f"Test accuracy under {column} (%)", xlim=(-3, 103))
        axis.set_yticks([height * group + (height - 2) / 2 for group in range(len(defenses))])
        axis.set_yticklabels([escape_mathtext(labels.defenses[defense]) for defense in defenses])
        axis.grid(axis="x", linewidth=0.4)
    axes[0].invert_yaxis()
    legend_below(figure, 3)
    return figure
