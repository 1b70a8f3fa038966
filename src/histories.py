"""Draw the training histories: accuracies on training images against the epoch."""

from pathlib import Path

import click

from advtrain.report.labels import Labels
from advtrain.report.training_curves import histories_figure, read_histories
from cli.figure import write_figure
from cli.report import Outputs, report_command


@report_command(many="histories")
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that watched.")
def main(histories: tuple[Path, ...], iterations: int, labels: Labels, outputs: Outputs) -> None:
    """Draw the training histories."""
    write_figure(histories_figure(read_histories(histories), labels, iterations), outputs, labels, histories)


if __name__ == "__main__":
    main()
