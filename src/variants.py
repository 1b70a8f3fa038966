"""Compare the choices that the paper leaves open with its Table I."""

import click
import pandas as pd

from advtrain.report.open_choices import page, variants_table
from advtrain.report.open_choices_chart import choices_figure
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command

Titles = dict[str, dict[str, str]]
TITLES = "For each defense the title of each choice, by classifier; JSON."


@report_command(evaluations=read_rows)
@click.option("--classifiers", required=True, type=FromJson(Titles), help=TITLES)
@click.option("--fixed-step-divisor", required=True, type=float, help="Of epsilon, in BIM of a fixed step.")
def main(evaluations: pd.DataFrame, classifiers: Titles, fixed_step_divisor: float, report: Report) -> None:
    """Compare the choices that the paper leaves open."""
    fixed_step = f"BIM of ε/{fixed_step_divisor:g} a step"
    table = variants_table(evaluations, classifiers, list(report.labels.datasets), fixed_step)
    report = report.about(classifiers)
    report.write_table(table)
    report.write_page("What the paper leaves open", page(table, report.labels))
    write_figure(choices_figure(table, report.labels), report)


if __name__ == "__main__":
    main()
