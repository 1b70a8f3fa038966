"""Add up what the jobs of a run took."""

from pathlib import Path

import click
import pandas as pd

from advtrain.report.job_times import cost_table, page, seconds_by_rule, training_seconds
from cli.command import FOLDER, FromJson
from cli.report import Report, report_command


@report_command("timing", histories=training_seconds)
@click.option("--benchmarks", required=True, type=FOLDER, help="Folder of the benchmark files of all jobs.")
@click.option("--rules", required=True, type=FromJson(tuple[str, ...]), help="The rules to count, JSON.")
def main(histories: pd.DataFrame, timing: pd.DataFrame, benchmarks: Path, rules: tuple[str, ...], report: Report) -> None:
    """Add up what the trainings and the jobs took."""
    table = cost_table(histories, seconds_by_rule(benchmarks, rules, report.labels), timing)
    report.write_table(table)
    report.write_page("What it took", page(table, report.labels, report.device))


if __name__ == "__main__":
    main()
