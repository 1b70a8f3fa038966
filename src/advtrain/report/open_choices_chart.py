"""The choices that the paper leaves open as a chart of dots."""

import pandas as pd
from matplotlib.figure import Figure

from advtrain.report.labels import Labels
from advtrain.report.style import escape_mathtext, legend_below, panels, styles, without_images

COLUMN = "BIM(30)"
"""The paper's strongest attack."""


def choices_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `open_choices.variants_table` under `COLUMN`: a panel for each data set, a group of dots a classifier.

    A dot is the mean over seeds under one choice, its bar the 95% interval; one seed has none. A line is the paper's figure.
    """
    rows = without_images(table[table["column"] == COLUMN])
    defenses, choices = list(rows["defense"].unique()), list(rows["choice"].unique())
    height = len(choices) + 1  # of a group, in dots
    figure, axes = panels(list(labels.datasets.values()), (4.6, 1.8 + 0.16 * height * len(defenses)), sharey=True)
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        of_dataset = rows[rows["dataset"] == dataset]
        for place, (choice, style) in enumerate(styles({choice: choice for choice in choices})):
            dots = of_dataset[of_dataset["choice"] == choice]
            at = [height * defenses.index(defense) + place for defense in dots["defense"]]
            bars = [dots["mean"] - dots["lower"], dots["upper"] - dots["mean"]]
            axis.errorbar(dots["mean"], at, xerr=bars, linestyle="none", markersize=5, elinewidth=1, **style)
        printed = of_dataset.drop_duplicates("defense")
        groups = [height * defenses.index(defense) for defense in printed["defense"]]
        below, above = ([group + edge for group in groups] for edge in (-0.5, height - 1.5))
        axis.vlines(printed["paper"], below, above, color="black", linewidth=1, label="The paper")
        axis.set(xlabel=f"Test accuracy under {COLUMN} (%)", xlim=(-3, 103))
        axis.set_yticks([height * group + (height - 2) / 2 for group in range(len(defenses))])
        axis.set_yticklabels([escape_mathtext(labels.defenses[defense]) for defense in defenses])
        axis.grid(axis="x", linewidth=0.4)
    axes[0].invert_yaxis()
    legend_below(figure, 3)
    return figure
