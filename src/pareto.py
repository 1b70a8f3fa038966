"""Set the robustness of each classifier under the worst of all attacks against the price of its training."""

import pandas as pd

from advtrain.report.robustness_and_price import pareto_figure, pareto_table
from cli.figure import write_figure
from cli.report import Report, lengths, read_rows, report_command


@report_command("timing", evaluations=read_rows)
@lengths
def main(evaluations: pd.DataFrame, timing: pd.DataFrame, epochs: dict[str, int], report: Report) -> None:
    """Set robustness against price."""
    table = pareto_table(evaluations, timing, epochs, report.labels)
    report.write_table(table)
    write_figure(pareto_figure(table, report.labels), report)


if __name__ == "__main__":
    main()
