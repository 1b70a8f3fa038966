"""Compare the steps and periods of Proposed with the paper's own choice, as a table and as heat maps."""

from pathlib import Path

import click

from advtrain.report.labels import Labels
from advtrain.report.step_and_reset import ablation_table, page
from advtrain.report.step_and_reset_map import ablation_map
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Outputs, made_of, read_rows, report_command


@report_command(many="evaluations")
@click.option(
    "--classifiers",
    required=True,
    type=FromJson(dict[str, tuple[int, int]]),
    help="Step divisor and epochs between two resets of each, by name; JSON.",
)
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Length of the training.")
def main(
    evaluations: tuple[Path, ...], classifiers: dict[str, tuple[int, int]], epochs: int, labels: Labels, outputs: Outputs
) -> None:
    """Compare the steps and periods of Proposed."""
    table = ablation_table(read_rows(evaluations), classifiers, list(labels.datasets), epochs)
    outputs.write_table(table, made_of(labels, evaluations, classifiers=classifiers))
    outputs.write_page("The step and the resets of Proposed", page(table, labels))
    write_figure(ablation_map(table, labels), outputs, labels, evaluations)


if __name__ == "__main__":
    main()
