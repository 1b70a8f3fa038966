"""Assemble Table I, our figures and the paper's, from all evaluations and the timing."""

from pathlib import Path

from advtrain.report import table_one
from advtrain.report.labels import Labels
from advtrain.results.parquet import read_table
from cli.report import Outputs, made_of, read_rows, report_command


@report_command("timing", "audit", many="evaluations")
def main(evaluations: tuple[Path, ...], timing: Path, audit: Path, labels: Labels, outputs: Outputs) -> None:
    """Assemble Table I."""
    times, audited = (read_table(path).to_pandas() for path in (timing, audit))
    table = table_one.table_1(read_rows(evaluations), times, audited, labels)
    outputs.write_table(table, made_of(labels, (*evaluations, timing, audit)))
    outputs.write_page("Table I", table_one.page(table, audited, labels, times["device"].iloc[0]))


if __name__ == "__main__":
    main()
