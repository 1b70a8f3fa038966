"""Draw the transfer matrices as heat maps."""

import pandas as pd

from advtrain.report.figures import transfer_map
from cli.figure import write_figure
from cli.report import Report, read_rows, report_command


@report_command(matrices=read_rows)
def main(matrices: pd.DataFrame, report: Report) -> None:
    """Draw the transfer matrices."""
    write_figure(transfer_map(matrices, report.labels), report)


if __name__ == "__main__":
    main()
