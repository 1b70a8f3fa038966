"""Draw the transfer matrices as heat maps."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.figures import save_figure, transfer_map
from advtrain.results import read_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--figure", "figures", required=True, multiple=True, type=FILE, help="Output: .svg, .pdf or .png; several.")
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    figures: tuple[Path, ...],
) -> None:
    """Draw the transfer TABLES of all data sets."""
    matrix = pa.concat_tables([read_table(table) for table in tables]).to_pandas()
    save_figure(transfer_map(matrix, datasets, defenses), list(figures))


if __name__ == "__main__":
    main()
