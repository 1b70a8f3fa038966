"""Pick from Table I what a README shows: price, clean accuracy, and accuracy under the paper's attack and AutoAttack."""

from pathlib import Path

from advtrain.report.labels import Labels
from advtrain.report.table_one import headline
from advtrain.results.parquet import read_table
from cli.report import Outputs, report_command


@report_command("table")
def main(table: Path, labels: Labels, outputs: Outputs) -> None:
    """Pick from Table I what a README shows."""
    outputs.write_page("", headline(read_table(table).to_pandas(), labels))


if __name__ == "__main__":
    main()
