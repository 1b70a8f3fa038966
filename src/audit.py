"""Judge every check of every trained model, as a table and as a page."""

from pathlib import Path

import click

from advtrain.audit import audit_table, page
from advtrain.results import provenance, read_provenances
from command import FILE, Command
from outputs import Outputs, datasets_option, defenses_option, outputs_options, read_rows, scale_option


@click.command(cls=Command)
@click.argument("findings", nargs=-1, required=True, type=FILE)
@datasets_option
@defenses_option
@scale_option
@outputs_options
def main(
    outputs: Outputs,
    findings: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
) -> None:
    """Judge what FINDINGS of audit_model.py and transfer.py measured."""
    audit = audit_table(read_rows(findings))
    title, sections = page(audit, datasets, defenses, scale)
    made = provenance({"scale": scale}, inputs=read_provenances(findings))
    outputs.write(audit, made, title, sections, titled=True)


if __name__ == "__main__":
    main()
