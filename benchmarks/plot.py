"""docs/benchmarks.svg: a panel for each comparison; medians over the rounds, with bars between the quartiles."""

from collections.abc import Callable, Mapping

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advtrain.report.paper import SECONDS_PER_EPOCH
from advtrain.training.timing import BASELINE
from benchmarks import overhead
from benchmarks.epochs import PLAIN_LOOP
from benchmarks.evaluation import AFRESH, SHARED
from benchmarks.kept import WITHOUT
from benchmarks.measure import ratios
from benchmarks.page import cost_of_defenses
from benchmarks.peers import OURS

COLUMNS = 2
PANEL_INCHES = (5.6, 3.3)


def plot(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The panels of the parts in `tables`, by the names of `PANELS`."""
    drawn = [(draw, tables[part]) for part, panels in PANELS.items() if part in tables for draw in panels]
    rows = -(-len(drawn) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(PANEL_INCHES[0] * COLUMNS, PANEL_INCHES[1] * rows), squeeze=False)
    for axis, (draw, frame) in zip(axes.flat, drawn, strict=False):
        draw(axis, frame)
        axis.grid(axis="x", linewidth=0.4)
        axis.set(ylabel="", axisbelow=True)
        if legend := axis.get_legend():
            legend.remove()
        if len(axis.get_legend_handles_labels()[1]) > 1:
            axis.legend(fontsize="small")
    for axis in axes.flat[len(drawn) :]:
        axis.remove()
    figure.set_layout_engine("constrained")
    return figure


def attack(axis: Axes, frame: pd.DataFrame) -> None:
    """Every contender relative to ours."""
    conditions = frame["case"] + ", " + frame["device"] + " × " + frame["threads"].astype(str)
    _points(axis, frame.assign(ratio=ratios(frame, OURS), under=conditions), x="ratio", y="contender", hue="under")
    _compared(axis, "BIM(10): time relative to ours")


def beside_a_plain_loop(axis: Axes, frame: pd.DataFrame) -> None:
    """The plain loop relative to ours, for each defense."""
    frame = frame.assign(ratio=ratios(frame, OURS))
    _points(axis, frame[frame["contender"] == PLAIN_LOOP], x="ratio", y="case", hue="device")
    _compared(axis, "Epoch: plain loop relative to ours")


def beside_fgsm_adv(axis: Axes, frame: pd.DataFrame) -> None:
    """Our defenses relative to FGSM-Adv, and the paper's."""
    ours = cost_of_defenses(frame)
    _points(axis, ours, x="ratio", y="case", hue="device")
    defenses = [name for name in SECONDS_PER_EPOCH if name in set(ours["case"])]
    paper = [SECONDS_PER_EPOCH[name] / SECONDS_PER_EPOCH[BASELINE] for name in defenses]
    axis.plot(paper, defenses, linestyle="none", marker="x", color="black", label="the paper")
    axis.set(xscale="log")
    axis.set_xticks([0.5, 1, 2, 5, 10], labels=["0.5", "1", "2", "5", "10"])
    axis.minorticks_off()
    axis.xaxis.set_major_formatter("{x:g}")
    _compared(axis, "Epoch relative to FGSM-Adv")


def limit(axis: Axes, frame: pd.DataFrame) -> None:
    """Steps' share of the fastest product's FLOP/s."""
    steps = frame[frame["case"] == "step"]
    conditions = steps["device"] + " × " + steps["threads"].astype(str)
    _points(axis, steps.assign(percent=100 * steps["share_of_peak"], under=conditions), x="percent", y="contender", hue="under")
    axis.set(title="FLOP/s of steps", xlabel="% of the fastest matrix product", xlim=(0, 100))


def evaluation(axis: Axes, frame: pd.DataFrame) -> None:
    """Attacks that share nothing, relative to the pipeline's."""
    frame = frame.assign(ratio=ratios(frame, SHARED))
    _points(axis, frame[frame["contender"] == AFRESH], x="ratio", y="case", hue="device")
    _compared(axis, "Evaluation afresh relative to shared")


def overheads(axis: Axes, frame: pd.DataFrame) -> None:
    """Seconds of all starts of each script, and of scheduling."""
    totals = frame.assign(total=frame["seconds"] * frame["jobs"].where(frame["case"] == overhead.START, 1))
    order = totals.groupby("contender")["total"].median().sort_values(ascending=False).index
    sns.barplot(totals, x="total", y="contender", order=order, estimator="median", errorbar=("pi", 50), color="C0", ax=axis)
    axis.set(title="Quick run: all starts, scheduling", xlabel="Seconds")
    axis.tick_params(axis="y", labelsize="x-small")


def growth(axis: Axes, frame: pd.DataFrame) -> None:
    """Epochs of Proposed relative to the smallest."""
    timed = frame.assign(case="all")
    timed = timed.assign(ratio=ratios(timed, frame["contender"].iloc[0]))
    _points(axis, timed, x="ratio", y="contender", hue="device")
    _compared(axis, "Epoch of Proposed relative to the first")


def kept(axis: Axes, frame: pd.DataFrame) -> None:
    """Each optimisation's gain."""
    without = frame.assign(ratio=ratios(frame, OURS))
    _points(axis, without[without["contender"] == WITHOUT], x="ratio", y="case", hue="device")
    axis.tick_params(axis="y", labelsize="x-small")
    _compared(axis, "Without an optimisation relative to with it")


def memory(axis: Axes, frame: pd.DataFrame) -> None:
    """Peak memory of a fresh process for each size."""
    sizes = frame.assign(mebibytes=frame["peak_bytes"] / 2**20)
    sns.barplot(sizes, x="mebibytes", y="contender", hue="device", errorbar=None, palette="colorblind", ax=axis)
    axis.set(title="Peak memory of training", xlabel="MiB")


PANELS: dict[str, list[Callable[[Axes, pd.DataFrame], None]]] = {
    "attack": [attack],
    "epochs": [beside_a_plain_loop, beside_fgsm_adv],
    "limit": [limit],
    "evaluation": [evaluation],
    "overhead": [overheads],
    "growth": [growth, memory],
    "kept": [kept],
}


def _points(axis: Axes, frame: pd.DataFrame, x: str, y: str, hue: str) -> None:
    sns.pointplot(
        frame,
        x=x,
        y=y,
        hue=hue,
        estimator="median",
        errorbar=("pi", 50),
        linestyle="none",
        dodge=0.4 if frame[hue].nunique() > 1 else False,
        markersize=5,
        palette="colorblind",
        ax=axis,
    )


def _compared(axis: Axes, title: str) -> None:
    axis.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axis.set(title=title, xlabel="Ratio (1 is as fast)")
