"""Draw Figure 1: test accuracy under BIM(N) against N."""

from pathlib import Path

from advtrain.report.figures import figure_1
from advtrain.report.labels import Labels
from cli.figure import write_figure
from cli.report import Outputs, read_rows, report_command


@report_command(many="evaluations")
def main(evaluations: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Draw Figure 1."""
    write_figure(figure_1(read_rows(evaluations), labels), outputs, labels, evaluations)


if __name__ == "__main__":
    main()
