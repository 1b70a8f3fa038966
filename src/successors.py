"""Show the methods in each setting by price, as a table and as a chart."""

import click
import pandas as pd

from advtrain.report.methods_by_price import Setting, methods_table, page
from advtrain.report.robustness_and_price import pareto_figure, pareto_table
from cli.command import FromJson
from cli.figure import write_figure
from cli.report import Report, lengths, read_rows, report_command

Settings = tuple[Setting, ...]


@report_command("timing", "overfitting", evaluations=read_rows)
@click.option("--settings", required=True, type=FromJson(Settings), help="The defenses of each setting, JSON.")
@lengths
def main(
    evaluations: pd.DataFrame,
    timing: pd.DataFrame,
    overfitting: pd.DataFrame,
    settings: Settings,
    epochs: dict[str, int],
    report: Report,
) -> None:
    """Show the methods in each setting by price."""
    table = methods_table(evaluations, timing, overfitting, settings, epochs, list(report.labels.datasets))
    report.write_table(table)
    report.write_page("Methods by price", page(table, report.labels))
    report = report.about({name for setting in settings for name in setting.defenses})
    write_figure(pareto_figure(pareto_table(evaluations, timing, epochs, report.labels), report.labels), report)


if __name__ == "__main__":
    main()
