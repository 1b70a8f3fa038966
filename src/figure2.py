"""Draw Figure 2: test accuracy after each iterate of one BIM."""

import click
import pandas as pd

from advtrain.report.figures import figure_2
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command


@report_command(evaluations=read_rows)
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that was traced.")
def main(evaluations: pd.DataFrame, iterations: int, report: Report) -> None:
    """Draw Figure 2."""
    write_figure(figure_2(evaluations, report.labels, iterations), report)


if __name__ == "__main__":
    main()
