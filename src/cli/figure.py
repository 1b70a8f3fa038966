"""What the scripts of figures share; apart from cli.report, so that a page does not depend on how figures look."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from advtrain.report.labels import Labels
from advtrain.report.style import save_figure
from advtrain.results.parquet import read_provenances
from advtrain.results.provenance import provenance_line
from cli.report import Outputs


def write_figure(figure: Figure, outputs: Outputs, labels: Labels, tables: Iterable[Path]) -> None:
    """Write a figure as .svg, .pdf and .png, and on it the scale, devices and commits of the tables that it is made of."""
    line = provenance_line(labels.line, read_provenances(tables).values())
    save_figure(figure, outputs.of(".svg", ".pdf", ".png"), line)
