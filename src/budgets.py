"""Compare the defenses that were trained at equal price, as a table and as a chart."""

import click
import pandas as pd

from advtrain.report.equal_budgets import Budgeted, budgets_table, page
from advtrain.report.equal_budgets_chart import budgets_figure
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command

Trained = tuple[Budgeted, ...]


@report_command(evaluations=read_rows)
@click.option("--trained", required=True, type=FromJson(Trained), help="The classifiers within each budget, JSON.")
def main(evaluations: pd.DataFrame, trained: Trained, report: Report) -> None:
    """Compare the defenses at equal price."""
    table = budgets_table(evaluations, trained, list(report.labels.datasets))
    report.write_table(table)
    report.write_page("Equal budgets", page(table, report.labels))
    write_figure(budgets_figure(table, report.labels), report)


if __name__ == "__main__":
    main()
