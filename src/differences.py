"""Compare the classifiers with each other, under every attack of Table I."""

import pandas as pd

from advtrain.report import pairs
from cli.report import Report, read_rows, report_command


@report_command(evaluations=read_rows)
def main(evaluations: pd.DataFrame, report: Report) -> None:
    """Compare the classifiers with each other."""
    table = pairs.differences(evaluations, report.labels)
    report.write_table(table)
    report.write_page("Differences", pairs.page(table, report.labels))


if __name__ == "__main__":
    main()
