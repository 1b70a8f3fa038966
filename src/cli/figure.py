"""What the scripts of figures share; apart from cli.report, so that a page does not depend on how figures look."""

import matplotlib
from matplotlib.figure import Figure

from advtrain.report.style import save_figure
from advtrain.results.provenance import provenance_line
from cli.report import Report

matplotlib.rcdefaults()  # a user's matplotlibrc is for the user's own figures


def write_figure(figure: Figure, report: Report) -> None:
    """Write a figure as .svg, .pdf and .png, and on it the scale, devices and commits of the tables that it is made of."""
    save_figure(figure, report.of(".svg", ".pdf", ".png"), provenance_line(report.labels.line, report.inputs.values()))
