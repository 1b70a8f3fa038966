"""Draw Figure 1: test accuracy under BIM(N) against N."""

import pandas as pd

from advtrain.report.figures import figure_1
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command


@report_command(evaluations=read_rows)
def main(evaluations: pd.DataFrame, report: Report) -> None:
    """Draw Figure 1."""
    write_figure(figure_1(evaluations, report.labels), report)


if __name__ == "__main__":
    main()
