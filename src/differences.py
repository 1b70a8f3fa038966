"""Compare the classifiers with each other, under every attack of Table I."""

from pathlib import Path

import click

from advtrain.report import pairs
from advtrain.report.labels import Labels
from cli.command import Command
from cli.report import Outputs, evaluations_option, labels_option, made_of, outputs_option, read_rows


@click.command(cls=Command)
@evaluations_option
@labels_option
@outputs_option
def main(evaluations: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Compare the classifiers with each other."""
    table = pairs.differences(read_rows(evaluations), labels)
    outputs.write_table(table, made_of(labels, evaluations))
    outputs.write_page("Differences", pairs.page(table, labels))


if __name__ == "__main__":
    main()
