"""The steps and periods of Proposed as heat maps."""

from textwrap import fill

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from advtrain.report.labels import Labels
from advtrain.report.step_and_reset import MEASURES, is_papers, is_picked, is_validated, step
from advtrain.report.style import HEAT_MAP, legend_below, panels

TITLE_LETTERS = 23
PAPERS, HIGHEST, HIGHEST_HELD_OUT = "The paper's choice", "The highest", "The highest on images held out"


def ablation_map(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `step_and_reset.ablation_table` as heat maps: a column of panels for each data set, BIM(10) above PGD."""
    shown = [(column, dataset) for column in MEASURES[::-1] for dataset in labels.datasets]
    titles = [fill(f"{labels.datasets[dataset]}: {column}", TITLE_LETTERS) for column, dataset in shown]
    figure, axes = panels(titles, (4.9, 7.6), rows=len(MEASURES))
    means = table.loc[table["column"].isin(MEASURES), "mean"]
    scale = {"vmin": means.min(), "vmax": means.max(), "fmt": ".1f", **HEAT_MAP}
    for axis, (column, dataset) in zip(axes, shown, strict=True):
        rows = table[(table["dataset"] == dataset) & (table["column"] == column)]
        grid = rows.pivot(index="step_divisor", columns="reset_epochs", values="mean").sort_index(ascending=False)
        periods = {row.reset_epochs: "never" if row.never else str(row.reset_epochs) for row in rows.itertuples()}
        sns.heatmap(grid.rename(index=step, columns=periods), ax=axis, **scale)
        places = rows.assign(x=grid.columns.get_indexer(rows["reset_epochs"]), y=grid.index.get_indexer(rows["step_divisor"]))
        for place in places[is_papers(rows)].itertuples():
            corner = (place.x + 0.03, place.y + 0.03)
            frame = Rectangle(corner, 0.94, 0.94, fill=False, edgecolor="white", linewidth=2.2, label=PAPERS)
            frame.set_path_effects([withStroke(linewidth=4.4, foreground="black")])
            axis.add_patch(frame)
        stars, label = places[is_picked(rows)], HIGHEST_HELD_OUT if is_validated(rows) else HIGHEST
        axis.plot(stars["x"] + 0.5, stars["y"] + 0.8, "*", color="white", markeredgecolor="black", markersize=11, label=label)
        axis.set(xlabel="Epochs between two resets", ylabel="Step of an epoch")
        axis.tick_params(axis="y", rotation=0)
    figure.colorbar(axes[0].collections[0], ax=axes, label="Test accuracy (%)", shrink=0.6)
    legend_below(figure, 2)
    return figure
