"""Say of each training whether and when it lost its robustness, and compare its last epoch with the best one."""

import click
import pandas as pd

from advtrain.report.collapses import overfitting_table, page
from advtrain.report.training_curves import read_histories
from cli.report import Report, read_rows, report_command


@report_command(histories=read_histories, evaluations=read_rows)
@click.option("--watched", required=True, help="Which images were watched, in words.")
def main(histories: pd.DataFrame, evaluations: pd.DataFrame, watched: str, report: Report) -> None:
    """Say of each training whether and when it lost its robustness."""
    table = overfitting_table(histories, evaluations, report.labels)
    report.write_table(table)
    report.write_page("Catastrophic overfitting", page(table, report.labels, watched))


if __name__ == "__main__":
    main()
