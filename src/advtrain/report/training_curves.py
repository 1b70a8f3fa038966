"""The training histories as a figure: where a defense overfits to the attack that it trains on, and what a reset does."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advtrain.report.labels import Labels
from advtrain.report.style import CHANCE, CURVE_COLOURS, MARKERS, escape_mathtext
from advtrain.results.parquet import read_table

MARKS = 8
PANEL_INCHES = (4.6, 2.8)


def read_histories(files: Iterable[Path]) -> pd.DataFrame:
    """The rows of several histories, named {dataset}/{defense}.history.parquet, with `dataset` and `defense`."""
    tables = [
        read_table(file).to_pandas().assign(dataset=file.parent.name, defense=file.name.removesuffix(".history.parquet"))
        for file in files
    ]
    return pd.concat(tables, ignore_index=True)


def histories_figure(histories: pd.DataFrame, labels: Labels, iterations: int) -> Figure:
    """Accuracy on training images against the epoch, a column of panels for each data set and a line for each defense.

    Above under BIM, below on the adversarial examples that the defense itself makes, where it makes any. High below and low
    above is the mark of catastrophic overfitting: the defense resists its own attack only. A line is the mean over seeds, its
    band is from the lowest to the highest.

    Args:
        histories: the rows of `training.plan.EpochRecord` of all cells, with `dataset` and `defense`.
        labels: titles of the data sets and defenses, in order.
        iterations: N of the BIM that monitored the training.
    """
    width, height = PANEL_INCHES
    figure, axes = plt.subplots(
        2,
        len(labels.datasets),
        figsize=(width * len(labels.datasets), 2 * height + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    rows = {
        "robust_accuracy": f"Accuracy under BIM({iterations}),\ntraining images (%)",
        "adversarial_accuracy": "Accuracy on the defense's own\nadversarial examples (%)",
    }
    letters = iter("abcdefghijklmnop")
    for panels, (column, label) in zip(axes, rows.items(), strict=True):
        for axis, (dataset, title) in zip(panels, labels.datasets.items(), strict=True):
            _lines(axis, histories[histories["dataset"] == dataset], column, labels.defenses)
            axis.set(title=f"({next(letters)}) {escape_mathtext(title)}", xlabel="Epoch", ylabel=label)
            axis.get_legend().remove()
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=min(6, len(labels.defenses)), frameon=False
    )
    figure.set_layout_engine("constrained")
    return figure


def _lines(axis: Axes, rows: pd.DataFrame, column: str, defenses: Mapping[str, str]) -> None:
    """The column in percent against the epoch: mean over seeds as a line, lowest to highest as a band."""
    named = {defense: escape_mathtext(title) for defense, title in defenses.items()}
    titles = list(named.values())
    epochs = int(rows["epoch"].max())
    sns.lineplot(
        data=rows.assign(percent=100 * rows[column], Defense=rows["defense"].map(named)),
        x="epoch",
        y="percent",
        hue="Defense",
        style="Defense",
        hue_order=titles,
        style_order=titles,
        dashes=False,
        markers=dict(zip(titles, itertools.cycle(MARKERS), strict=False)),
        palette=dict(zip(titles, itertools.cycle(CURVE_COLOURS), strict=False)),
        linewidth=1.2,
        markevery=max(1, epochs // MARKS),
        errorbar=("pi", 100),
        ax=axis,
    )
    axis.axhline(CHANCE, color="black", linewidth=0.8, linestyle=":")
    axis.set(xlim=(0.5, epochs + 0.5), ylim=(-3, 103))
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axis.tick_params(labelbottom=True)
    axis.grid(axis="y", linewidth=0.4)
