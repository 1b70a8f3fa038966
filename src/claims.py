"""Judge the paper's claims on all evaluations and the timing."""

import pandas as pd

from advtrain.report.claims_page import claims_table, page
from advtrain.report.paper_claims import Figures, judge_all
from cli.report import Report, read_rows, report_command


@report_command("timing", "timing-blocks", evaluations=read_rows)
def main(evaluations: pd.DataFrame, timing: pd.DataFrame, timing_blocks: pd.DataFrame, report: Report) -> None:
    """Judge the paper's claims."""
    timed_on = timing["dataset"].iloc[0]
    figures = Figures(evaluations, timing_blocks, timed_on, report.labels.datasets, report.labels.defenses)
    claims = judge_all(figures)
    report.write_table(claims_table(claims))
    report.write_page("The paper's claims", page(claims, figures, report.labels, report.device))


if __name__ == "__main__":
    main()
