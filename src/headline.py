"""Pick from Table I what a README shows: price, clean accuracy, and accuracy under the paper's attack and AutoAttack."""

import click
import pandas as pd

from advtrain.report.table_one import headline
from cli.command import FromJson
from cli.report import Report, report_command


@report_command("table")
@click.option("--epochs", required=True, type=FromJson(dict[str, int]), help="Length of each training, by classifier; JSON.")
def main(table: pd.DataFrame, epochs: dict[str, int], report: Report) -> None:
    """Pick from Table I what a README shows."""
    report.write_page("", headline(table, report.labels, epochs))


if __name__ == "__main__":
    main()
