"""Pick from Table I what a README shows: price, clean accuracy, and accuracy under the paper's attack and AutoAttack."""

import pandas as pd

from advtrain.report.table_one import headline
from cli.report import Report, report_command


@report_command("table")
def main(table: pd.DataFrame, report: Report) -> None:
    """Pick from Table I what a README shows."""
    report.write_page("", headline(table, report.labels))


if __name__ == "__main__":
    main()
