"""Draw the training histories: accuracies on training images against the epoch."""

import click
import pandas as pd

from advtrain.report.training_curves import histories_figure, read_histories
from cli.figure import write_figure
from cli.report import Report, report_command


@report_command(histories=read_histories)
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that watched.")
def main(histories: pd.DataFrame, iterations: int, report: Report) -> None:
    """Draw the training histories."""
    write_figure(histories_figure(histories, report.labels, iterations), report)


if __name__ == "__main__":
    main()
