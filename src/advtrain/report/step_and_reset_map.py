"""The steps and periods of Proposed as heat maps."""

import itertools
from textwrap import fill

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from advtrain.report.labels import Labels
from advtrain.report.step_and_reset import MEASURES, is_best, is_papers, step, wide
from advtrain.report.style import HEAT_MAP, legend_below, panels

ROWS = MEASURES[::-1]
"""Of panels: the paper's attack above, the stronger one below."""
TITLE_LETTERS = 27
PAPERS, BEST = "The paper's choice", "The best"


def ablation_map(table: pd.DataFrame, labels: Labels) -> Figure:
    """Accuracy with each step and period as heat maps, a column of panels for each data set, BIM(10) above and PGD below.

    Args:
        table: the table of `step_and_reset.ablation_table`.
        labels: titles of the data sets, in order.
    """
    drawn = table[table["column"].isin(ROWS)]
    shown = [(column, dataset) for column in ROWS for dataset in labels.datasets]
    titles = [fill(f"{labels.datasets[dataset]}: {column}", TITLE_LETTERS - 4) for column, dataset in shown]
    figure, axes = panels(titles, (4.9, 7.6), rows=len(ROWS))
    scale = {"vmin": drawn["mean"].min(), "vmax": drawn["mean"].max(), "fmt": ".1f", **HEAT_MAP}
    for axis, (column, dataset) in zip(axes, shown, strict=True):
        rows = drawn[(drawn["dataset"] == dataset) & (drawn["column"] == column)]
        periods = {row.reset_epochs: "never" if row.never else str(row.reset_epochs) for row in rows.itertuples()}
        sns.heatmap(wide(rows, "mean").rename(index=step, columns=periods), ax=axis, **scale)
        for y, x in _places(rows, is_papers(rows)):
            frame = Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, fill=False, edgecolor="white", linewidth=2.2, label=PAPERS)
            frame.set_path_effects([withStroke(linewidth=4.4, foreground="black")])
            axis.add_patch(frame)
        stars = [(x + 0.5, y + 0.8) for y, x in _places(rows, is_best(rows))]
        axis.plot(*zip(*stars, strict=True), "*", color="white", markeredgecolor="black", markersize=11, label=BEST)
        axis.set(xlabel="Epochs between two resets", ylabel="Step of an epoch")
        axis.tick_params(axis="y", rotation=0)
    figure.colorbar(axes[0].collections[0], ax=axes, label="Test accuracy (%)", shrink=0.6)
    legend_below(figure, axes[0].get_legend_handles_labels()[0], 2)
    return figure


def _places(rows: pd.DataFrame, marked: pd.Series) -> list[tuple[int, int]]:
    """Row and column of each marked cell of the grid."""
    grid = wide(rows.assign(marked=marked), "marked").to_numpy()
    return [(y, x) for y, x in itertools.product(*map(range, grid.shape)) if grid[y, x]]
