"""Judge every check of every trained model, as a table and as a page."""

import pandas as pd

from advtrain.report.audit_page import audit_table, page
from cli.report import Report, read_rows, report_command


@report_command(findings=read_rows)
def main(findings: pd.DataFrame, report: Report) -> None:
    """Judge every check of every trained model."""
    audit = audit_table(findings)
    report.write_table(audit)
    report.write_page("Audit", page(audit, report.labels))


if __name__ == "__main__":
    main()
