"""Compare our Table I with the paper's, figure by figure."""

import pandas as pd

from advtrain.report.paper_comparison import against_paper, page
from cli.report import Report, report_command


@report_command("table")
def main(table: pd.DataFrame, report: Report) -> None:
    """Compare our Table I with the paper's."""
    found = against_paper(table)
    report.write_table(found)
    report.write_page("Against the paper", page(found, report.labels))


if __name__ == "__main__":
    main()
