"""Assemble Table I, our figures and the paper's, from all evaluations and the timing."""

import pandas as pd

from advtrain.report.table_one import page, table_1
from cli.report import Report, read_rows, report_command


@report_command("timing", "audit", evaluations=read_rows)
def main(evaluations: pd.DataFrame, timing: pd.DataFrame, audit: pd.DataFrame, report: Report) -> None:
    """Assemble Table I."""
    table = table_1(evaluations, timing, audit, report.labels)
    report.write_table(table)
    report.write_page("Table I", page(table, audit, report.labels, timing["device"].iloc[0]))


if __name__ == "__main__":
    main()
