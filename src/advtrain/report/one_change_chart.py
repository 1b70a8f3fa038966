"""What each change from one method to another does, as a chart of dots, with the price beside it."""

import pandas as pd
from matplotlib.figure import Figure

from advtrain.report.columns import STRONGEST
from advtrain.report.labels import Labels
from advtrain.report.one_change import name
from advtrain.report.style import escape_mathtext, legend_below, panels, styles, without_images

COLUMNS = ("BIM(30)", "PGD", STRONGEST)
APART = 0.2
"""Between two attacks of a rung, where 1 is the distance of two rungs."""


def ladder_figure(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `one_change.ladder_table`: a panel for each data set and one for the price, a line of dots for each rung.

    A dot is the mean over seeds under one attack, its bar the 95% interval; one seed has none. A thin line leads to it from the
    rung that it is compared with. The price is in passes.
    """
    rows = without_images(table)
    rungs = rows.drop_duplicates("rung")
    widths = [3] * len(labels.datasets) + [1.3]
    size = (15 / (len(labels.datasets) + 2), 1.4 + 0.42 * len(rungs))
    figure, axes = panels([*labels.datasets.values(), "Price"], size, sharey=True, width_ratios=widths)
    *of_datasets, of_price = axes
    for axis, dataset in zip(of_datasets, labels.datasets, strict=True):
        for place, (column, style) in enumerate(styles({column: column for column in COLUMNS})):
            dots = rows[(rows["dataset"] == dataset) & (rows["column"] == column)]
            bars = [dots["mean"] - dots["lower"], dots["upper"] - dots["mean"]]
            at = dots["rung"] + APART * (place - 1)
            axis.errorbar(dots["mean"], at, xerr=bars, linestyle="none", elinewidth=1.2, markersize=5, **style)
            of_rung = dots.assign(at=at).set_index("rung")
            for rung, base in of_rung["base"][of_rung["base"] > 0].items():
                ends = of_rung.loc[[base, rung]]
                axis.plot(ends["mean"], ends["at"], color=style["color"], linewidth=0.5)
        axis.set(xlabel="Test accuracy (%)", xlim=(-3, 103))
        axis.grid(axis="x", linewidth=0.4)
    of_price.barh(rungs["rung"], rungs["passes"], height=0.5, color="0.7")
    of_price.set(xlabel="Passes over\na training image")
    of_datasets[0].set_yticks(rungs["rung"], [escape_mathtext(name(row)) for row in rungs.itertuples()])
    of_datasets[0].invert_yaxis()
    legend_below(figure, len(COLUMNS))
    return figure
