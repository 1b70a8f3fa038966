"""Measure the audit's checks of one model, on all seeds of a cell."""

from dataclasses import asdict
from pathlib import Path

import click

from advtrain.audit.finding import FINDINGS_SCHEMA
from advtrain.audit.measure import MEASURES, Audit, AuditedModel
from advtrain.results.parquet import read_provenance, read_table, write_rows
from cli.command import FILE, Command
from cli.evaluation import Cell, cell_options


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Audit)
@click.option("--evaluations", required=True, type=FILE, help="All evaluations of the cell.")
def main(cell: Cell[Audit], evaluations: Path) -> None:
    """Measure the audit's checks of one model, on all seeds of a cell."""
    evaluated = read_table(evaluations).to_pylist()
    rows = []
    for seed, network in cell.networks.items():
        of_seed = [row for row in evaluated if row["seed"] == seed]
        model = AuditedModel(network, cell.data, of_seed, cell.settings, cell.at_once)
        rows += [{"seed": seed, "check": check, **asdict(measure(model))} for check, measure in MEASURES.items()]
    made = cell.provenance(evaluations=read_provenance(evaluations))
    write_rows(cell.named(rows), FINDINGS_SCHEMA, cell.output, made)


if __name__ == "__main__":
    main()
