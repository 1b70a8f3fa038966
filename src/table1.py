"""Assemble Table I, ours beside the paper's, from all evaluations and the timing."""

from pathlib import Path

import click

from advtrain import tables
from advtrain.files import write_text
from advtrain.pages import to_latex
from advtrain.results import provenance, read_provenances, read_table
from command import FILE, Command
from outputs import Outputs, datasets_option, defenses_option, evaluations_argument, outputs_options, read_rows, scale_option


@click.command(cls=Command)
@evaluations_argument
@click.option("--timing", required=True, type=FILE, help="Table of time_epochs.py.")
@click.option("--audit", "audit_file", required=True, type=FILE, help="Table of audit.py.")
@datasets_option
@defenses_option
@scale_option
@outputs_options
@click.option("--csv", required=True, type=FILE, help="Output: the same.")
@click.option("--tex", required=True, type=FILE, help="Output: the same for LaTeX.")
def main(
    outputs: Outputs,
    evaluations: tuple[Path, ...],
    timing: Path,
    audit_file: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    csv: Path,
    tex: Path,
) -> None:
    """Assemble Table I from the EVALUATIONS of all cells."""
    times, audit = (read_table(path).to_pandas() for path in (timing, audit_file))
    table = tables.table_1(read_rows(evaluations), times, audit, datasets, defenses)
    sections = tables.page(table, audit, datasets, defenses, scale, times["device"].iloc[0])
    made = provenance({"scale": scale}, inputs=read_provenances((*evaluations, timing, audit_file)))
    outputs.write(table, made, "Table I", sections)
    write_text(csv, table.to_csv(index=False))
    write_text(tex, to_latex(sections))


if __name__ == "__main__":
    main()
