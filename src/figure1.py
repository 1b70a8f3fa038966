"""Draw Figure 1: test accuracy under BIM(N) against N."""

from pathlib import Path

import click

from advtrain.figures import figure_1, save_figure
from advtrain.origin import in_a_line
from advtrain.results import read_provenances
from command import FILE, Command
from outputs import datasets_option, defenses_option, figures_option, read_rows, scale_option


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@datasets_option
@defenses_option
@scale_option
@figures_option
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    figures: tuple[Path, ...],
) -> None:
    """Draw Figure 1 from the evaluation TABLES of all cells."""
    save_figure(figure_1(read_rows(tables), datasets, defenses), figures, in_a_line(scale, read_provenances(tables)))


if __name__ == "__main__":
    main()
