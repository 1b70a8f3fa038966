"""Compare the classifiers with each other, under every attack of Table I."""

from pathlib import Path

from advtrain.report import pairs
from advtrain.report.labels import Labels
from cli.report import Outputs, made_of, read_rows, report_command


@report_command(many="evaluations")
def main(evaluations: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Compare the classifiers with each other."""
    table = pairs.differences(read_rows(evaluations), labels)
    outputs.write_table(table, made_of(labels, evaluations))
    outputs.write_page("Differences", pairs.page(table, labels))


if __name__ == "__main__":
    main()
