"""Pick from Table I what a README shows: price, clean accuracy, and accuracy under the paper's attack and AutoAttack."""

import pandas as pd

from advtrain.report.table_one import headline
from cli.report import Report, lengths, report_command


@report_command("table")
@lengths
def main(table: pd.DataFrame, epochs: dict[str, int], report: Report) -> None:
    """Pick from Table I what a README shows."""
    report.write_page("", headline(table, report.labels, epochs))


if __name__ == "__main__":
    main()
