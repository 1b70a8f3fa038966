"""Add up what the jobs of a run took."""

from pathlib import Path

import click

from advtrain import cost
from advtrain.results import provenance, read_provenance, read_provenances
from command import FILE, FOLDER, Command
from outputs import Outputs, datasets_option, defenses_option, outputs_options


@click.command(cls=Command)
@click.argument("histories", nargs=-1, required=True, type=FILE)
@click.option("--benchmarks", required=True, type=FOLDER, help="Folder of the benchmark files of all jobs.")
@datasets_option
@defenses_option
@outputs_options
def main(
    outputs: Outputs,
    histories: tuple[Path, ...],
    benchmarks: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
) -> None:
    """Add up the trainings of HISTORIES, named {dataset}/{defense}.history.parquet, and the jobs in the BENCHMARKS."""
    table = cost.cost_table(cost.training_seconds(histories), cost.seconds_by_rule(benchmarks))
    sections = cost.page(table, datasets, defenses, read_provenance(histories[0])["device"])
    outputs.write(table, provenance({}, inputs=read_provenances(histories)), "What it took", sections)


if __name__ == "__main__":
    main()
