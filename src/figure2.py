"""Draw Figure 2: test accuracy after each iterate of one BIM."""

from pathlib import Path

import click

from advtrain.report.figures import figure_2
from advtrain.report.labels import Labels
from cli.figure import write_figure
from cli.report import Outputs, read_rows, report_command


@report_command(many="evaluations")
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that was traced.")
def main(evaluations: tuple[Path, ...], iterations: int, labels: Labels, outputs: Outputs) -> None:
    """Draw Figure 2."""
    write_figure(figure_2(read_rows(evaluations), labels, iterations), outputs, labels, evaluations)


if __name__ == "__main__":
    main()
