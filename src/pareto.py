"""Set the robustness of each classifier under the worst of all attacks against the price of its training."""

from pathlib import Path

from advtrain.report.labels import Labels
from advtrain.report.robustness_and_price import pareto_figure, pareto_table
from advtrain.results.parquet import read_table
from cli.figure import write_figure
from cli.report import Outputs, made_of, read_rows, report_command


@report_command("timing", many="evaluations")
def main(evaluations: tuple[Path, ...], timing: Path, labels: Labels, outputs: Outputs) -> None:
    """Set robustness against price."""
    table = pareto_table(read_rows(evaluations), read_table(timing).to_pandas(), labels)
    outputs.write_table(table, made_of(labels, (*evaluations, timing)))
    write_figure(pareto_figure(table, labels), outputs, labels, (*evaluations, timing))


if __name__ == "__main__":
    main()
