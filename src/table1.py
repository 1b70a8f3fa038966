"""Assemble Table I, our figures and the paper's, from all evaluations and the timing."""

from pathlib import Path

import click

from advtrain.report import table_one
from advtrain.report.labels import Labels
from advtrain.results.parquet import read_table
from cli.command import Command
from cli.report import Outputs, evaluations_option, input_table, labels_option, made_of, outputs_option, read_rows


@click.command(cls=Command)
@evaluations_option
@input_table("timing", "Table of time_epochs.py.")
@input_table("audit", "Table of audit.py.")
@labels_option
@outputs_option
def main(evaluations: tuple[Path, ...], timing: Path, audit: Path, labels: Labels, outputs: Outputs) -> None:
    """Assemble Table I."""
    times, audited = (read_table(path).to_pandas() for path in (timing, audit))
    table = table_one.table_1(read_rows(evaluations), times, audited, labels)
    outputs.write_table(table, made_of(labels, (*evaluations, timing, audit)))
    outputs.write_page("Table I", table_one.page(table, audited, labels, times["device"].iloc[0]))


if __name__ == "__main__":
    main()
