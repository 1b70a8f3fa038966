"""How every figure looks and is saved. Colours are safe for colour-blind readers; markers and hatches tell in grey."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advtrain.results.atomic import write_atomically

CURVE_COLOURS = [sns.color_palette("colorblind")[i] for i in (7, 1, 2, 3, 0, 9, 4, 5, 6, 8)]
MARKERS = "os^DvPX*<>"
HEAT_MAP = {"cmap": "viridis", "annot": True, "cbar": False}
FAMILY_STYLES = {"none": ("Greys", ".."), "single_adv": ("Blues", ""), "iter_adv": ("Greens", "//")}
LETTERS_PER_INCH = 18
"""Of the line above a figure."""


def escape_mathtext(title: str) -> str:
    """A title in which matplotlib finds no formula."""
    return title.replace("$", r"\$")


def panels(titles: Sequence[str], size: tuple[float, float], *, rows: int = 1, **settings: Any) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each title, in rows, lettered in order; `settings` are those of `pyplot.subplots`.

    `size` is the width of a panel and the height of the figure, in inches.
    """
    columns = len(titles) // rows
    inches = (size[0] * columns, size[1])
    figure, axes = plt.subplots(rows, columns, figsize=inches, squeeze=False, layout="constrained", **settings)
    for letter, axis, title in zip(ascii_lowercase, axes.flat, titles, strict=False):
        axis.set_title(escape_mathtext(f"({letter}) {title}"))
    return figure, list(axes.flat)


def legend_below(figure: Figure, columns: int, handles: Sequence[Any] | None = None) -> None:
    """One legend for all panels, of some handles or of the first panel's, in fewer columns where it would be too wide."""
    handles = figure.axes[0].get_legend_handles_labels()[0] if handles is None else handles
    for fewer in range(columns, 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=fewer, frameon=False)
        if fewer == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def styles(titles: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name, and label, colour and marker of each defense, the same in every figure; of more than ten some share colours."""
    for place, (name, title) in enumerate(titles.items()):
        marker = MARKERS[(place + place // len(CURVE_COLOURS)) % len(MARKERS)]
        yield name, {"label": escape_mathtext(title), "color": CURVE_COLOURS[place % len(CURVE_COLOURS)], "marker": marker}


def bar_styles(families: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Edge, hatch, and a shade of its family's colour for each defense."""
    found = {}
    for family, (palette, hatch) in FAMILY_STYLES.items():
        members = [defense for defense, its_family in families.items() if its_family == family]
        for defense, colour in zip(members, sns.color_palette(palette, len(members) + 2)[1:], strict=False):
            found[defense] = {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.5}
    return found


def without_images(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, with NaN for `lower` and `upper` where these are over images (`seeds` is 1): a bar is about other trainings."""
    return rows.assign(**{bound: rows[bound].mask(rows["seeds"] == 1) for bound in ("lower", "upper")})


def draw_curve(axis: Axes, curve: pd.DataFrame, **style: Any) -> None:
    """A line of `mean` against the index, and a band from `lower` to `upper`."""
    axis.plot(curve.index, curve["mean"], markeredgecolor="white", markeredgewidth=0.7, **style)
    axis.fill_between(curve.index, curve["lower"], curve["upper"], color=style["color"], alpha=0.2, linewidth=0)


def finish_curves(axis: Axes) -> None:
    """Scales of accuracy in percent against a number of steps."""
    axis.set_ylim(-3, 103)
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axis.grid(axis="y", linewidth=0.4)


def draw_chance(axis: Axes, percent: float) -> None:
    """A line at the accuracy of always answering the commonest label."""
    axis.axhline(percent, color="black", linewidth=0.8, linestyle=":")


def save_figure(figure: Figure, paths: Sequence[Path], origin: str) -> None:
    """Write a figure in the format of each path's suffix (.svg, .pdf, .png), each in one step and without a date.

    `origin`, where its figures come from, is written small above the panels, and into each file's metadata.
    """
    metadata = {
        "svg": {"Date": None, "Description": origin},
        "pdf": {"CreationDate": None, "Subject": origin},
        "png": {"Description": origin},
    }
    line = fill(escape_mathtext(origin), int(LETTERS_PER_INCH * figure.get_figwidth()))
    figure.suptitle(line, fontsize=6.5, color="0.35")
    with mpl.rc_context({"svg.hashsalt": "advtrain", "svg.fonttype": "path", "savefig.dpi": 200}):
        for path in paths:
            kind = path.suffix[1:]
            write_atomically(path, partial(figure.savefig, format=kind, metadata=metadata[kind]))
    plt.close(figure)
