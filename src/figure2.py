"""Draw Figure 2: test accuracy after each iterate of one BIM."""

from pathlib import Path

import click

from advtrain.report.figures import figure_2
from advtrain.report.labels import Labels
from cli.command import Command
from cli.figure import write_figure
from cli.report import Outputs, evaluations_option, labels_option, outputs_option, read_rows


@click.command(cls=Command)
@evaluations_option
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that was traced.")
@labels_option
@outputs_option
def main(evaluations: tuple[Path, ...], iterations: int, labels: Labels, outputs: Outputs) -> None:
    """Draw Figure 2."""
    write_figure(figure_2(read_rows(evaluations), labels, iterations), outputs, labels, evaluations)


if __name__ == "__main__":
    main()
