"""Measure the audit's checks of one model, on all seeds of a cell; resume from its checkpoint if an earlier run was killed."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import click

from advtrain.audit.finding import FINDINGS_SCHEMA
from advtrain.audit.measure import Audit, AuditedModel, measure_all
from advtrain.evaluation.table import EVALUATION_SCHEMA
from advtrain.results.parquet import read_provenance, read_table, write_rows
from cli.command import FILE, Command
from cli.evaluation import Cell, cell_options, checkpoint_option


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Audit)
@checkpoint_option
@click.option("--evaluations", required=True, type=FILE, help="All evaluations of the cell.")
@click.option("--outcomes", required=True, type=FILE, help="Output: the audit's own attacks, evaluations, Parquet.")
def main(cell: Cell[Audit], checkpoint: Path, evaluations: Path, outcomes: Path) -> None:
    """Measure the audit's checks of one model, on all seeds of a cell."""
    evaluated = read_table(evaluations).to_pylist()
    found, attacks = [], []
    with cell.resumable("audit_model", checkpoint, evaluations=hashlib.sha256(evaluations.read_bytes()).hexdigest()) as resume:
        for seed, network in cell.networks.items():
            of_seed = [row for row in evaluated if row["seed"] == seed]
            model = AuditedModel(network, cell.data, of_seed, cell.settings, cell.at_once)
            state, save = resume(network)
            for check, finding in measure_all(model, state=state, save=save):
                found.append({"seed": seed, "check": check, **asdict(finding)})
            attacks += [{"seed": seed, **row} for row in model.attack_rows()]
        made = cell.provenance(evaluations=read_provenance(evaluations))
        write_rows(cell.evaluations(attacks), EVALUATION_SCHEMA, outcomes, made)
        write_rows(cell.named(found), FINDINGS_SCHEMA, cell.output, made)


if __name__ == "__main__":
    main()
