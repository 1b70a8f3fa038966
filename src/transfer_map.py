"""Draw the transfer matrices as heat maps."""

from pathlib import Path

from advtrain.report.figures import transfer_map
from advtrain.report.labels import Labels
from cli.figure import write_figure
from cli.report import Outputs, read_rows, report_command


@report_command(many="matrices")
def main(matrices: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Draw the transfer matrices."""
    write_figure(transfer_map(read_rows(matrices), labels), outputs, labels, matrices)


if __name__ == "__main__":
    main()
