"""Draw Table I as bars: Single-Adv blue, Iter-Adv green."""

from pathlib import Path

import click

from advtrain.figures import save_figure, table_1_bars
from advtrain.origin import in_a_line
from advtrain.results import read_provenances, read_table
from command import FILE, Command, Json
from outputs import figures_option, scale_option


@click.command(cls=Command)
@click.option("--table", required=True, type=FILE, help="Parquet of table1.py.")
@click.option("--families", required=True, type=Json(), help="none, single_adv or iter_adv of each defense, as a JSON object.")
@scale_option
@figures_option
def main(table: Path, families: dict[str, str], scale: str, figures: tuple[Path, ...]) -> None:
    """Draw Table I as bars."""
    save_figure(table_1_bars(read_table(table).to_pandas(), families), figures, in_a_line(scale, read_provenances([table])))


if __name__ == "__main__":
    main()
