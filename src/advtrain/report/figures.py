"""Figures 1 and 2, Table I as bars, and the transfer matrices."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advtrain.report import paper, statistics, style
from advtrain.report.columns import RATIO, TIME
from advtrain.report.labels import Labels


def figure_1(evaluations: pd.DataFrame, labels: Labels) -> Figure:
    """Test accuracy under BIM(N) against N, a panel for each data set (Liu et al. 2019, Figure 1)."""
    bim = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterate"] == evaluations["iterations"])]
    return _curves(bim, "iterations", "Iterations N of BIM, a step of ε/N each", labels)


def figure_2(evaluations: pd.DataFrame, labels: Labels, iterations: int) -> Figure:
    """Test accuracy after each iterate of BIM(`iterations`), a panel for each data set (Liu et al. 2019, Figure 2)."""
    trace = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterations"] == iterations)]
    return _curves(trace, "iterate", f"Iterate i of BIM({iterations}), a step of ε/{iterations} each", labels)


def table_1_bars(table: pd.DataFrame, labels: Labels) -> Figure:
    """The table of `table_one.table_1` as bars, Single-Adv blue and Iter-Adv green, the paper's figures as marks on them.

    The last panel is the time of an epoch relative to FGSM-Adv's; there is none where FGSM-Adv was not timed.
    """
    ratios = table[table["column"] == RATIO]
    shown = pd.concat([table[table["group"] != TIME], ratios if ratios["mean"].notna().any() else None])
    groups = list(shown["group"].unique())
    widths = [3.0 if group == TIME else 5.4 for group in groups]
    figure, axes = style.panels(groups, (sum(widths) / len(groups), 3.9), width_ratios=widths)
    for axis, group in zip(axes, groups, strict=True):
        _bars(axis, shown[shown["group"] == group], labels)
        if group == TIME:
            axis.set(ylabel="Epoch relative to FGSM-Adv", xticks=[])
        else:
            axis.set(ylabel="Test accuracy (%)", ylim=(0, 103))
            style.draw_chance(axis, shown.loc[shown["group"] == group, "chance"].iloc[0])
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    marks = [handles.pop("Paper")] if "Paper" in handles else []
    style.legend_below(figure, len(handles) + 1, [*handles.values(), *marks])
    return figure


def transfer_map(matrices: pd.DataFrame, labels: Labels) -> Figure:
    """Accuracy of each classifier under the adversarial examples of each, as a heat map for each data set.

    `matrices` are rows of `transferability.transfer` with `dataset` and `seed`; the mean over seeds is drawn.
    """
    names = {defense: style.escape_mathtext(title) for defense, title in labels.defenses.items()}
    figure, axes = style.panels([f"{title}: accuracy (%)" for title in labels.datasets.values()], (4.9, 4.6))
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        rows = matrices[matrices["dataset"] == dataset]
        own = {defense: names[defense] for defense in labels.on(dataset)}
        pivoted = rows.pivot_table(index="source", columns="target", values="accuracy")
        matrix = 100 * pivoted.reindex(index=list(own), columns=list(own))
        sns.heatmap(matrix.rename(index=own, columns=own), vmin=0, vmax=100, fmt=".0f", ax=axis, **style.HEAT_MAP)
        for place in range(len(own)):
            axis.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor="white", linewidth=2))
        axis.set(xlabel="Attacked classifier", ylabel="Adversarial examples of")
        axis.set_xticks(axis.get_xticks(), [*own.values()], rotation=40, horizontalalignment="right")
    return figure


def _curves(rows: pd.DataFrame, x: str, label: str, labels: Labels) -> Figure:
    """Accuracy in percent against the column `x`, a line for each defense with its 95% interval over seeds as a band."""
    figure, axes = style.panels(list(labels.datasets.values()), (4.6, 4.1), sharey=True)
    for axis, dataset in zip(axes, labels.datasets, strict=True):
        for defense, look in style.styles(labels.defenses):
            if defense not in labels.on(dataset):
                axis.plot([], [], **look)  # of the legend, which is the first panel's
                continue
            steps = rows[(rows["dataset"] == dataset) & (rows["defense"] == defense)].groupby(x)
            curve = style.without_images(pd.DataFrame({step: statistics.figure(at) for step, at in steps}).T)
            dashes = "-" if defense in paper.IN_FIGURES_1_AND_2 else (0, (4, 2))
            style.draw_curve(axis, curve, linestyle=dashes, **look)
        style.finish_curves(axis)
        style.draw_chance(axis, 100 * rows.loc[rows["dataset"] == dataset, "chance"].iloc[0])
        axis.set(xlabel=label, ylabel="Test accuracy (%)")
    style.legend_below(figure, min(6, len(labels.defenses)))
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, labels: Labels) -> None:
    """Grouped bars of the means with their intervals, over seeds or of a time, and the paper's figures as marks."""
    columns, defenses = list(rows["column"].unique()), list(rows["defense"].unique())
    looks = style.bar_styles(labels.families)
    width = 0.84 / len(defenses)
    for place, defense in enumerate(defenses):
        bars = style.without_images(rows[rows["defense"] == defense])
        x = [columns.index(column) - 0.42 + width * (place + 0.5) for column in bars["column"]]
        spread = (bars["mean"] - bars["lower"], bars["upper"] - bars["mean"])
        title = style.escape_mathtext(bars["title"].iloc[0])
        axis.bar(x, bars["mean"], width, yerr=spread, error_kw={"linewidth": 0.8}, label=title, **looks[defense])
        label = "Paper" if bars["paper"].notna().any() else None
        axis.plot(x, bars["paper"], "D", color="white", markeredgecolor="black", markersize=4, label=label)
    axis.set_xticks(range(len(columns)), columns, fontsize="small")
    sns.despine(ax=axis)
