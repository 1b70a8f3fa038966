"""Compare our Table I with the paper's, figure by figure."""

from pathlib import Path

from advtrain.report.labels import Labels
from advtrain.report.paper_comparison import against_paper, page
from advtrain.results.parquet import read_table
from cli.report import Outputs, made_of, report_command


@report_command("table")
def main(table: Path, labels: Labels, outputs: Outputs) -> None:
    """Compare our Table I with the paper's."""
    ours = read_table(table).to_pandas()
    found = against_paper(ours)
    outputs.write_table(found, made_of(labels, [table]))
    outputs.write_page("Against the paper", page(found, ours, labels))


if __name__ == "__main__":
    main()
