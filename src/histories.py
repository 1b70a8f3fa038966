"""Draw the training histories: accuracies on training images against the epoch."""

from pathlib import Path

import click
import pandas as pd

from advtrain.figures import save_figure
from advtrain.histories import histories_figure
from advtrain.origin import in_a_line
from advtrain.results import read_provenances, read_table
from command import FILE, Command
from outputs import datasets_option, defenses_option, figures_option, scale_option


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@datasets_option
@defenses_option
@scale_option
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that watched.")
@figures_option
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    iterations: int,
    figures: tuple[Path, ...],
) -> None:
    """Draw the histories in TABLES, named {dataset}/{defense}.history.parquet."""
    histories = pd.concat(
        [
            read_table(table).to_pandas().assign(dataset=table.parent.name, defense=table.name.removesuffix(".history.parquet"))
            for table in tables
        ],
        ignore_index=True,
    )
    save_figure(
        histories_figure(histories, datasets, defenses, iterations),
        figures,
        in_a_line(scale, read_provenances(tables)),
    )


if __name__ == "__main__":
    main()
