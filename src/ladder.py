"""Show what each change from one method to another does, as a table and as a chart."""

import click
import pandas as pd

from advtrain.report.one_change import Rung, ladder_table, page
from advtrain.report.one_change_chart import ladder_figure
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Report, lengths, read_rows, report_command

Rungs = tuple[Rung, ...]


@report_command("timing", evaluations=read_rows)
@click.option("--rungs", required=True, type=FromJson(Rungs), help="The classifiers in order, with what each changes; JSON.")
@lengths
def main(evaluations: pd.DataFrame, timing: pd.DataFrame, rungs: Rungs, epochs: dict[str, int], report: Report) -> None:
    """Show what each change does."""
    table = ladder_table(evaluations, timing, rungs, epochs, list(report.labels.datasets))
    report.write_table(table)
    report.write_page("One change at a time", page(table, report.labels))
    write_figure(ladder_figure(table, report.labels), report)


if __name__ == "__main__":
    main()
