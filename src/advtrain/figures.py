"""Figures 1 and 2, Table I as bars and the transfer matrices, and how every figure is saved.

Colours are safe for colour-blind readers; markers and hatches tell in grey.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advtrain import paper, statistics
from advtrain.files import write_atomically
from advtrain.tables import RATIO, TIME

Colour = tuple[float, float, float]

CHANCE = 10
CURVE_COLOURS = [sns.color_palette("colorblind")[i] for i in (7, 1, 2, 3, 0, 9, 4, 5, 6, 8)]
MARKERS = "os^DvPX*<>"
PANEL_INCHES = (4.6, 3.6)
FAMILY_PALETTES = {"none": "Greys", "single_adv": "Blues", "iter_adv": "Greens"}
FAMILY_HATCHES = {"none": "..", "single_adv": "", "iter_adv": "//"}
FIXED_METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
DESCRIPTION = {"svg": "Description", "pdf": "Subject", "png": "Description"}
"""Each format's own name for a text about a picture."""
ORIGIN_STYLE = {"fontsize": 6.5, "color": "0.35"}
ORIGIN_LETTERS_PER_INCH = 18


def figure_1(evaluations: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> Figure:
    """Test accuracy under BIM(N) against N, a panel for each data set (Liu et al. 2019, Figure 1).

    Args:
        evaluations: the evaluation table of all cells.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.
    """
    bim = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterate"] == evaluations["iterations"])]
    return _curves(bim, "iterations", "Iterations N of BIM, a step of ε/N each", datasets, defenses)


def figure_2(trace: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> Figure:
    """Test accuracy after each iterate of one BIM, a panel for each data set (Liu et al. 2019, Figure 2).

    Arguments as in `figure_1`, but `trace` has the rows of `evaluation.trace_bim` only.
    """
    n = trace["iterations"].iloc[0]
    return _curves(trace, "iterate", f"Iterate i of BIM({n}), a step of ε/{n} each", datasets, defenses)


def table_1_bars(table: pd.DataFrame, families: Mapping[str, str]) -> Figure:
    """Table I as bars, Single-Adv blue and Iter-Adv green, the paper's figures as marks on them.

    Args:
        table: the table of `tables.table_1`.
        families: `none`, `single_adv` or `iter_adv` of each defense, by name.
    """
    colours = _family_colours(families)
    groups = [group for group in table["group"].unique() if group != TIME]
    figure, axes = plt.subplots(
        1, len(groups) + 1, figsize=(5.4 * len(groups) + 3.2, 3.9), width_ratios=[2] * len(groups) + [1.1]
    )
    for letter, axis, group in zip("abcdefgh", axes, groups, strict=False):
        _bars(axis, table[table["group"] == group], colours, families)
        axis.set(title=f"({letter}) {as_written(group)}", ylabel="Test accuracy (%)", ylim=(0, 103))
        axis.axhline(CHANCE, color="black", linewidth=0.8, linestyle=":")
    _bars(axes[-1], table[(table["group"] == TIME) & (table["column"] == RATIO)], colours, families)
    axes[-1].set(title=f"({'abcdefgh'[len(groups)]}) {TIME}", ylabel="Epoch relative to FGSM-Adv", xticks=[])
    marks, *bars = zip(*axes[0].get_legend_handles_labels(), strict=True)
    figure.legend(*zip(*bars, marks, strict=True), loc="outside lower center", ncols=len(bars) + 1, frameon=False)
    figure.set_layout_engine("constrained")
    return figure


def transfer_map(matrix: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> Figure:
    """Accuracy of each classifier under the adversarial examples of each as a heat map, a panel for each data set.

    Args:
        matrix: rows of `transfer.transfer` with `dataset` and `seed`; the mean over seeds is drawn.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.
    """
    titles = {defense: as_written(title) for defense, title in defenses.items()}
    figure, axes = plt.subplots(1, len(datasets), figsize=(4.9 * len(datasets), 4.6), squeeze=False)
    for letter, axis, (dataset, title) in zip("abcdefgh", axes[0], datasets.items(), strict=False):
        rows = matrix[matrix["dataset"] == dataset]
        wide = 100 * rows.pivot_table(index="source", columns="target", values="accuracy").loc[list(defenses), list(defenses)]
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
        for place in range(len(defenses)):
            axis.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor="white", linewidth=2))
        axis.set(
            title=f"({letter}) {as_written(title)}: accuracy (%)",
            xlabel="Attacked classifier",
            ylabel="Adversarial examples of",
        )
        axis.set_xticks(axis.get_xticks(), axis.get_xticklabels(), rotation=40, horizontalalignment="right")
    figure.set_layout_engine("constrained")
    return figure


def as_written(title: str) -> str:
    """A title in which matplotlib finds no formula."""
    return title.replace("$", r"\$")


def save_figure(figure: Figure, paths: Sequence[Path], origin: str = "") -> None:
    """Write a figure in the format of each path's suffix (.svg, .pdf, .png), each in one step and without a date.

    Args:
        figure: what is drawn.
        paths: the files.
        origin: where its figures come from; it is written above them, small, in the place of a title of the whole, and into
            each file's metadata.

    Raises:
        OSError: a folder cannot be written, or the disk is full.
    """
    if origin:
        figure.suptitle(fill(as_written(origin), int(ORIGIN_LETTERS_PER_INCH * figure.get_figwidth())), **ORIGIN_STYLE)
    with mpl.rc_context({"svg.hashsalt": "advtrain", "svg.fonttype": "path", "savefig.dpi": 200}):
        for path in paths:
            kind = path.suffix[1:]
            described = {DESCRIPTION[kind]: origin} if origin else {}
            save = partial(figure.savefig, format=kind, metadata={**FIXED_METADATA[kind], **described})
            write_atomically(path, save)
    plt.close(figure)


def _curves(rows: pd.DataFrame, x: str, label: str, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> Figure:
    """Accuracy in percent against the column `x`, a line for each defense with its 95% interval as a band."""
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(PANEL_INCHES[0] * len(datasets), PANEL_INCHES[1] + 0.5), sharey=True, squeeze=False
    )
    for letter, axis, (dataset, title) in zip("abcdefgh", axes[0], datasets.items(), strict=False):
        for (defense, name), colour, marker in zip(defenses.items(), itertools.cycle(CURVE_COLOURS), MARKERS, strict=False):
            line = _with_intervals(rows[(rows["dataset"] == dataset) & (rows["defense"] == defense)], x)
            axis.plot(
                line.index,
                line["mean"],
                color=colour,
                marker=marker,
                linestyle="-" if defense in paper.IN_FIGURES_1_AND_2 else (0, (4, 2)),
                markeredgecolor="white",
                markeredgewidth=0.7,
                label=as_written(name),
            )
            axis.fill_between(line.index, line["lower"], line["upper"], color=colour, alpha=0.2, linewidth=0)
        axis.axhline(CHANCE, color="black", linewidth=0.8, linestyle=":")
        axis.set(title=f"({letter}) {as_written(title)}", xlabel=label, ylabel="Test accuracy (%)", ylim=(-3, 103))
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axis.grid(axis="y", linewidth=0.4)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), frameon=False)
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
            label=as_written(bars["title"].iloc[0]),
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


def _family_colours(families: Mapping[str, str]) -> dict[str, Colour]:
    """A shade of its family's colour for each defense."""
    colours: dict[str, Colour] = {}
    for family, palette in FAMILY_PALETTES.items():
        members = [defense for defense, its_family in families.items() if its_family == family]
        colours |= dict(zip(members, sns.color_palette(palette, len(members) + 2)[1:], strict=False))
    return colours
