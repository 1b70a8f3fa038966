"""Draw Figure 1: test accuracy under BIM(N) against N."""

from pathlib import Path

import click

from advtrain.report.figures import figure_1
from advtrain.report.labels import Labels
from cli.command import Command
from cli.figure import write_figure
from cli.report import Outputs, evaluations_option, labels_option, outputs_option, read_rows


@click.command(cls=Command)
@evaluations_option
@labels_option
@outputs_option
def main(evaluations: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Draw Figure 1."""
    write_figure(figure_1(read_rows(evaluations), labels), outputs, labels, evaluations)


if __name__ == "__main__":
    main()
