"""Draw Figure 2: test accuracy after each iterate of one BIM."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.figures import figure_2, save_figure
from advtrain.results import read_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that was traced.")
@click.option("--figure", "figures", required=True, multiple=True, type=FILE, help="Output: .svg, .pdf or .png; several.")
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    iterations: int,
    figures: tuple[Path, ...],
) -> None:
    """Draw Figure 2 from the evaluation TABLES of all cells."""
    evaluations = pa.concat_tables([read_table(table) for table in tables]).to_pandas()
    trace = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterations"] == iterations)]
    save_figure(figure_2(trace, datasets, defenses), list(figures))


if __name__ == "__main__":
    main()
