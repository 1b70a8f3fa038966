"""Draw Table I as bars: Single-Adv blue, Iter-Adv green."""

from pathlib import Path

from advtrain.report.figures import table_1_bars
from advtrain.report.labels import Labels
from advtrain.results.parquet import read_table
from cli.figure import write_figure
from cli.report import Outputs, report_command


@report_command("table")
def main(table: Path, labels: Labels, outputs: Outputs) -> None:
    """Draw Table I as bars."""
    write_figure(table_1_bars(read_table(table).to_pandas(), labels), outputs, labels, [table])


if __name__ == "__main__":
    main()
