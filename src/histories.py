"""Draw the training histories: accuracies on training images against the epoch."""

from pathlib import Path

import click

from advtrain.report.labels import Labels
from advtrain.report.training_curves import histories_figure, read_histories
from cli.command import Command
from cli.figure import write_figure
from cli.report import Outputs, inputs, labels_option, outputs_option


@click.command(cls=Command)
@inputs("histories", "Histories of all trainings, named {dataset}/{defense}.history.parquet.")
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that watched.")
@labels_option
@outputs_option
def main(histories: tuple[Path, ...], iterations: int, labels: Labels, outputs: Outputs) -> None:
    """Draw the training histories."""
    write_figure(histories_figure(read_histories(histories), labels, iterations), outputs, labels, histories)


if __name__ == "__main__":
    main()
