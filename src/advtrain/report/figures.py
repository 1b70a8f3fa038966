"""Figures 1 and 2, Table I as bars, and the transfer matrices."""

import itertools
from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advtrain.report import paper, statistics
from advtrain.report.columns import RATIO, TIME
from advtrain.report.labels import Labels
from advtrain.report.style import (
    CHANCE,
    CURVE_COLOURS,
    FAMILY_HATCHES,
    MARKERS,
    PANEL_INCHES,
    Colour,
    escape_mathtext,
    family_colours,
)


def figure_1(evaluations: pd.DataFrame, labels: Labels) -> Figure:
    """Test accuracy under BIM(N) against N, a panel for each data set (Liu et al. 2019, Figure 1).

    Args:
        evaluations: the evaluation table of all cells.
        labels: titles of the data sets and defenses, in order.
    """
    bim = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterate"] == evaluations["iterations"])]
    return _curves(bim, "iterations", "Iterations N of BIM, a step of ε/N each", labels)


def figure_2(evaluations: pd.DataFrame, labels: Labels, iterations: int) -> Figure:
    """Test accuracy after each iterate of one BIM, a panel for each data set (Liu et al. 2019, Figure 2).

    Arguments as in `figure_1`; `iterations` is N of the BIM that was traced.
    """
    trace = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterations"] == iterations)]
    return _curves(trace, "iterate", f"Iterate i of BIM({iterations}), a step of ε/{iterations} each", labels)


def table_1_bars(table: pd.DataFrame, labels: Labels) -> Figure:
    """Table I as bars, Single-Adv blue and Iter-Adv green, the paper's figures as marks on them.

    Args:
        table: the table of `table_one.table_1`.
        labels: families of the defenses.
    """
    colours = family_colours(labels.families)
    groups = [group for group in table["group"].unique() if group != TIME]
    figure, axes = plt.subplots(
        1, len(groups) + 1, figsize=(5.4 * len(groups) + 3.2, 3.9), width_ratios=[2] * len(groups) + [1.1]
    )
    for letter, axis, group in zip("abcdefgh", axes, groups, strict=False):
        _bars(axis, table[table["group"] == group], colours, labels.families)
        axis.set(title=f"({letter}) {escape_mathtext(group)}", ylabel="Test accuracy (%)", ylim=(0, 103))
        axis.axhline(CHANCE, color="black", linewidth=0.8, linestyle=":")
    _bars(axes[-1], table[(table["group"] == TIME) & (table["column"] == RATIO)], colours, labels.families)
    axes[-1].set(title=f"({'abcdefgh'[len(groups)]}) {TIME}", ylabel="Epoch relative to FGSM-Adv", xticks=[])
    marks, *bars = zip(*axes[0].get_legend_handles_labels(), strict=True)
    figure.legend(*zip(*bars, marks, strict=True), loc="outside lower center", ncols=len(bars) + 1, frameon=False)
    figure.set_layout_engine("constrained")
    return figure


def transfer_map(matrices: pd.DataFrame, labels: Labels) -> Figure:
    """Accuracy of each classifier under the adversarial examples of each as a heat map, a panel for each data set.

    Args:
        matrices: rows of `transferability.transfer` with `dataset` and `seed`; the mean over seeds is drawn.
        labels: titles of the data sets and defenses, in order.
    """
    titles = {defense: escape_mathtext(title) for defense, title in labels.defenses.items()}
    figure, axes = plt.subplots(1, len(labels.datasets), figsize=(4.9 * len(labels.datasets), 4.6), squeeze=False)
    for letter, axis, (dataset, title) in zip("abcdefgh", axes[0], labels.datasets.items(), strict=False):
        rows = matrices[matrices["dataset"] == dataset]
        matrix = rows.pivot_table(index="source", columns="target", values="accuracy")
        wide = 100 * matrix.loc[list(labels.defenses), list(labels.defenses)]
        sns.heatmap(
            wide.rename(index=titles, columns=titles),
            vmin=0,
            vmax=100,
            cmap="viridis",
            annot=True,
            fmt=".0f",
            cbar=False,
            ax=axis,
        )
        for place in range(len(labels.defenses)):
            axis.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor="white", linewidth=2))
        axis.set(
            title=f"({letter}) {escape_mathtext(title)}: accuracy (%)",
            xlabel="Attacked classifier",
            ylabel="Adversarial examples of",
        )
        axis.set_xticks(axis.get_xticks(), axis.get_xticklabels(), rotation=40, horizontalalignment="right")
    figure.set_layout_engine("constrained")
    return figure


def _curves(rows: pd.DataFrame, x: str, label: str, labels: Labels) -> Figure:
    """Accuracy in percent against the column `x`, a line for each defense with its 95% interval as a band."""
    figure, axes = plt.subplots(
        1,
        len(labels.datasets),
        figsize=(PANEL_INCHES[0] * len(labels.datasets), PANEL_INCHES[1] + 0.5),
        sharey=True,
        squeeze=False,
    )
    for letter, axis, (dataset, title) in zip("abcdefgh", axes[0], labels.datasets.items(), strict=False):
        for (defense, name), colour, marker in zip(
            labels.defenses.items(), itertools.cycle(CURVE_COLOURS), MARKERS, strict=False
        ):
            line = _with_intervals(rows[(rows["dataset"] == dataset) & (rows["defense"] == defense)], x)
            axis.plot(
                line.index,
                line["mean"],
                color=colour,
                marker=marker,
                linestyle="-" if defense in paper.IN_FIGURES_1_AND_2 else (0, (4, 2)),
                markeredgecolor="white",
                markeredgewidth=0.7,
                label=escape_mathtext(name),
            )
            axis.fill_between(line.index, line["lower"], line["upper"], color=colour, alpha=0.2, linewidth=0)
        axis.axhline(CHANCE, color="black", linewidth=0.8, linestyle=":")
        axis.set(title=f"({letter}) {escape_mathtext(title)}", xlabel=label, ylabel="Test accuracy (%)", ylim=(-3, 103))
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axis.grid(axis="y", linewidth=0.4)
    figure.legend(
        *axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=min(6, len(labels.defenses)), frameon=False
    )
    figure.set_layout_engine("constrained")
    return figure


def _with_intervals(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """`mean`, `lower` and `upper` of the accuracy in percent at each value of the column `x`."""
    found = {value: statistics.accuracy(at) for value, at in rows.groupby(x)}
    return (
        100
        * pd.DataFrame({value: {"mean": one.mean, "lower": one.lower, "upper": one.upper} for value, one in found.items()}).T
    )


def _bars(axis: Axes, rows: pd.DataFrame, colours: Mapping[str, Colour], families: Mapping[str, str]) -> None:
    """Grouped bars of the means with their intervals, and the paper's figures as marks."""
    columns, defenses = list(rows["column"].unique()), list(rows["defense"].unique())
    width = 0.84 / len(defenses)
    for place, defense in enumerate(defenses):
        bars = rows[rows["defense"] == defense]
        x = [columns.index(column) - 0.42 + width * (place + 0.5) for column in bars["column"]]
        axis.bar(
            x,
            bars["mean"],
            width,
            yerr=(bars["mean"] - bars["lower"], bars["upper"] - bars["mean"]),
            error_kw={"linewidth": 0.8},
            color=colours[defense],
            hatch=FAMILY_HATCHES[families[defense]],
            edgecolor="black",
            linewidth=0.5,
            label=escape_mathtext(bars["title"].iloc[0]),
        )
        axis.plot(
            x,
            bars["paper"],
            "D",
            color="white",
            markeredgecolor="black",
            markersize=4,
            label="Paper" if place == len(defenses) - 1 else None,
        )
    axis.set_xticks(range(len(columns)), columns)
    sns.despine(ax=axis)
