"""Add up what the jobs of a run took."""

from pathlib import Path

import click

from advtrain.report import job_times
from advtrain.report.labels import Labels
from advtrain.results.parquet import read_provenance
from cli.command import FOLDER, FromJson
from cli.report import Outputs, made_of, report_command


@report_command(many="histories")
@click.option("--benchmarks", required=True, type=FOLDER, help="Folder of the benchmark files of all jobs.")
@click.option("--rules", required=True, type=FromJson(tuple[str, ...]), help="The rules to count, JSON.")
def main(histories: tuple[Path, ...], benchmarks: Path, rules: tuple[str, ...], labels: Labels, outputs: Outputs) -> None:
    """Add up what the trainings and the jobs took."""
    table = job_times.cost_table(job_times.training_seconds(histories), job_times.seconds_by_rule(benchmarks, rules, labels))
    outputs.write_table(table, made_of(labels, histories))
    outputs.write_page("What it took", job_times.page(table, labels, read_provenance(histories[0]).record["device"]))


if __name__ == "__main__":
    main()
