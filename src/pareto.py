"""Set the robustness of each classifier under the worst of all attacks against the price of its training."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import pareto
from advtrain.figures import save_figure
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option("--timing", required=True, type=FILE, help="Table of time_epochs.py.")
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each classifier and measure of robustness.")
@click.option("--figure", "figures", required=True, multiple=True, type=FILE, help="Output: .svg, .pdf or .png; several.")
def main(
    evaluations: tuple[Path, ...],
    timing: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    parquet: Path,
    figures: tuple[Path, ...],
) -> None:
    """Set robustness against price from the EVALUATIONS of all cells."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    table = pareto.pareto_table(rows, read_table(timing).to_pandas(), datasets, defenses)
    inputs = read_provenances((*evaluations, timing))
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, provenance({}, inputs=inputs))
    save_figure(pareto.pareto_figure(table, datasets, defenses), list(figures))


if __name__ == "__main__":
    main()
