"""Draw the transfer matrices as heat maps."""

from pathlib import Path

import click

from advtrain.report.figures import transfer_map
from advtrain.report.labels import Labels
from cli.command import Command
from cli.figure import write_figure
from cli.report import Outputs, inputs, labels_option, outputs_option, read_rows


@click.command(cls=Command)
@inputs("matrices", "Tables of transfer.py, one for each data set.")
@labels_option
@outputs_option
def main(matrices: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Draw the transfer matrices."""
    write_figure(transfer_map(read_rows(matrices), labels), outputs, labels, matrices)


if __name__ == "__main__":
    main()
