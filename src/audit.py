"""Judge every check of every trained model, as a table and as a page."""

from pathlib import Path

from advtrain.report.audit_page import audit_table, page
from advtrain.report.labels import Labels
from cli.report import Outputs, made_of, read_rows, report_command


@report_command(many="findings")
def main(findings: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Judge every check of every trained model."""
    audit = audit_table(read_rows(findings))
    outputs.write_table(audit, made_of(labels, findings))
    outputs.write_page("Audit", page(audit, labels))


if __name__ == "__main__":
    main()
