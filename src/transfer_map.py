"""Draw the transfer matrices as heat maps."""

from pathlib import Path

import click

from advtrain.figures import save_figure, transfer_map
from command import FILE, Command
from outputs import datasets_option, defenses_option, figures_option, read_rows


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@datasets_option
@defenses_option
@figures_option
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    figures: tuple[Path, ...],
) -> None:
    """Draw the transfer TABLES of all data sets."""
    save_figure(transfer_map(read_rows(tables), datasets, defenses), list(figures))


if __name__ == "__main__":
    main()
