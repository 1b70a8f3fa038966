"""Compare the steps and periods of Proposed with the paper's own choice, as a table and as heat maps."""

import click
import pandas as pd

from advtrain.report.step_and_reset import ablation_table, page
from advtrain.report.step_and_reset_map import ablation_map
from advtrain.report.training_curves import read_histories
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command

Choices = dict[str, tuple[int, int]]
CHOICES = "Step divisor and epochs between two resets of each, by name; JSON."


@report_command(evaluations=read_rows, histories=read_histories)
@click.option("--classifiers", required=True, type=FromJson(Choices), help=CHOICES)
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Length of the training.")
def main(evaluations: pd.DataFrame, histories: pd.DataFrame, classifiers: Choices, epochs: int, report: Report) -> None:
    """Compare the steps and periods of Proposed."""
    table = ablation_table(evaluations, histories, classifiers, list(report.labels.datasets), epochs)
    report.write_table(table, classifiers=classifiers)
    report.write_page("The step and the resets of Proposed", page(table, report.labels))
    write_figure(ablation_map(table, report.labels), report)


if __name__ == "__main__":
    main()
