"""Draw Table I as bars: Single-Adv blue, Iter-Adv green."""

import pandas as pd

from advtrain.report.figures import table_1_bars
from cli.figure import write_figure
from cli.report import Report, report_command


@report_command("table")
def main(table: pd.DataFrame, report: Report) -> None:
    """Draw Table I as bars."""
    write_figure(table_1_bars(table, report.labels), report)


if __name__ == "__main__":
    main()
