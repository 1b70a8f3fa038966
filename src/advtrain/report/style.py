"""How every figure looks and is saved. Colours are safe for colour-blind readers; markers and hatches tell in grey."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from advtrain.results.atomic import write_atomically

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


def escape_mathtext(title: str) -> str:
    """A title in which matplotlib finds no formula."""
    return title.replace("$", r"\$")


def save_figure(figure: Figure, paths: Sequence[Path], origin: str = "") -> None:
    """Write a figure in the format of each path's suffix (.svg, .pdf, .png), each in one step and without a date.

    Args:
        figure: what is drawn.
        paths: the files.
        origin: where its figures come from; written small above the panels, and into each file's metadata.

    Raises:
        OSError: a folder cannot be written, or the disk is full.
    """
    if origin:
        figure.suptitle(fill(escape_mathtext(origin), int(ORIGIN_LETTERS_PER_INCH * figure.get_figwidth())), **ORIGIN_STYLE)
    with mpl.rc_context({"svg.hashsalt": "advtrain", "svg.fonttype": "path", "savefig.dpi": 200}):
        for path in paths:
            kind = path.suffix[1:]
            described = {DESCRIPTION[kind]: origin} if origin else {}
            save = partial(figure.savefig, format=kind, metadata={**FIXED_METADATA[kind], **described})
            write_atomically(path, save)
    plt.close(figure)


def family_colours(families: Mapping[str, str]) -> dict[str, Colour]:
    """A shade of its family's colour for each defense."""
    colours: dict[str, Colour] = {}
    for family, palette in FAMILY_PALETTES.items():
        members = [defense for defense, its_family in families.items() if its_family == family]
        colours |= dict(zip(members, sns.color_palette(palette, len(members) + 2)[1:], strict=False))
    return colours
