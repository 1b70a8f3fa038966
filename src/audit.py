"""Judge every check of every trained model, as a table and as a page."""

from pathlib import Path

import click

from advtrain.report.audit_page import audit_table, page
from advtrain.report.labels import Labels
from cli.command import Command
from cli.report import Outputs, inputs, labels_option, made_of, outputs_option, read_rows


@click.command(cls=Command)
@inputs("findings", "What audit_model.py and transfer.py measured.")
@labels_option
@outputs_option
def main(findings: tuple[Path, ...], labels: Labels, outputs: Outputs) -> None:
    """Judge every check of every trained model."""
    audit = audit_table(read_rows(findings))
    outputs.write_table(audit, made_of(labels, findings))
    outputs.write_page("Audit", page(audit, labels))


if __name__ == "__main__":
    main()
