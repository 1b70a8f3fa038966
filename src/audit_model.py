"""Measure the audit's checks of one model, on all seeds of a cell."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from advtrain.checks import MEASURES, Subject
from advtrain.evaluation import Pgd
from advtrain.measured import FINDINGS_SCHEMA
from advtrain.results import read_provenance, read_table, table_of, write_table
from cell import Cell, cell_options
from command import FILE, Command, Json


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options
@click.option("--evaluations", required=True, type=FILE, help="All evaluations of the cell.")
@click.option("--pgd", "pgd_settings", required=True, type=Json(), help="PGD of the strong evaluation, as JSON.")
@click.option("--trace-iterations", required=True, type=click.IntRange(min=1), help="N of the BIM(N) that was traced.")
@click.option("--square-queries", required=True, type=click.IntRange(min=1), help="Queries of Square Attack.")
@click.option("--noise-draws", required=True, type=click.IntRange(min=1), help="Draws of each kind of noise.")
def main(
    cell: Cell,
    evaluations: Path,
    pgd_settings: dict[str, Any],
    trace_iterations: int,
    square_queries: int,
    noise_draws: int,
) -> None:
    """Measure the audit's checks of one model, on all seeds of a cell."""
    evaluated = read_table(evaluations).to_pylist()
    pgd = Pgd.from_settings(pgd_settings, cell.epsilon, cell.batch_size)
    data, networks = cell.load()
    rows = []
    for seed, network in networks.items():
        of_seed = [row for row in evaluated if row["seed"] == seed]
        subject = Subject(network, data, of_seed, pgd, trace_iterations, square_queries, noise_draws)
        for check, measure in MEASURES.items():
            rows.append({**cell.key(seed), "check": check, **asdict(measure(subject))})
    settings = {
        "pgd": pgd_settings,
        "trace_iterations": trace_iterations,
        "square_queries": square_queries,
        "noise_draws": noise_draws,
    }
    made = cell.provenance(settings, evaluations=read_provenance(evaluations))
    write_table(table_of(rows, FINDINGS_SCHEMA), cell.output, made)


if __name__ == "__main__":
    main()
