"""Draw Figure 1: test accuracy under BIM(N) against N."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.figures import figure_1, save_figure
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
    """Draw Figure 1 from the evaluation TABLES of all cells."""
    evaluations = pa.concat_tables([read_table(table) for table in tables]).to_pandas()
    save_figure(figure_1(evaluations, datasets, defenses), list(figures))


if __name__ == "__main__":
    main()
