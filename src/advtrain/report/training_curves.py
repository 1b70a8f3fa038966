"""The training histories as a figure: where a defense overfits to the attack that it trains on, and what a reset does."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from advtrain.report.labels import Labels
from advtrain.report.style import draw_curve, finish_curves, legend_below, panels, styles
from advtrain.results.parquet import read_table

MARKS = 8


def read_histories(files: Iterable[Path]) -> pd.DataFrame:
    """The rows of some histories, named {dataset}/{defense}.history.parquet, with `dataset` and `defense`."""
    tables = []
    for file in files:
        cell = {"dataset": file.parent.name, "defense": file.name.removesuffix(".history.parquet")}
        tables.append(read_table(file).to_pandas().assign(**cell))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def histories_figure(histories: pd.DataFrame, labels: Labels, iterations: int) -> Figure:
    """What was watched after each epoch, a column of panels for each data set and a line for each defense.

    Above accuracy under PGD of `iterations`; in the middle accuracy on the adversarial examples that the defense itself makes,
    where it makes any: high there and low above is the mark of catastrophic overfitting. Below the cosine of the loss's
    gradients at an image and at its FGSM example. A line is the mean over seeds, its band is from the lowest to the
    highest.
    """
    percent = {
        "pgd_accuracy": f"Accuracy under PGD({iterations}),\ntraining images (%)",
        "adversarial_accuracy": "Accuracy on the defense's own\nadversarial examples (%)",
    }
    measures = {**percent, "alignment": "Cosine of gradients\nbefore and after FGSM"}
    lowest = min(0.0, histories["alignment"].min())
    titles = [*labels.datasets.values()] * len(measures)
    figure, axes = panels(titles, (4.6, 8.6), rows=len(measures), sharex=True, sharey="row")
    for axis, (measure, dataset) in zip(axes, itertools.product(measures, labels.datasets), strict=True):
        rows = histories[histories["dataset"] == dataset]
        epochs = int(rows["epoch"].max())
        for defense, style in styles(labels.defenses):
            if defense in labels.external:
                continue
            values = rows[rows["defense"] == defense].dropna(subset=measure).set_index("epoch")[measure]
            if measure in percent:
                values = 100 * values
            curve = values.groupby("epoch").agg(mean="mean", lower="min", upper="max")
            draw_curve(axis, curve, linewidth=1.2, markevery=max(1, epochs // MARKS), **style)
        finish_curves(axis)
        if measure not in percent:
            axis.set_ylim(lowest - 0.03, 1.03)
        axis.set(xlabel="Epoch", ylabel=measures[measure], xlim=(0.5, epochs + 0.5))
        axis.tick_params(labelbottom=True)
    legend_below(figure, min(6, len(labels.trained_here)))
    return figure
