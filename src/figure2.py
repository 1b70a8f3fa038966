"""Draw Figure 2: test accuracy after each iterate of one BIM."""

from pathlib import Path

import click

from advtrain.figures import figure_2, save_figure
from advtrain.origin import in_a_line
from advtrain.results import read_provenances
from command import FILE, Command
from outputs import datasets_option, defenses_option, figures_option, read_rows, scale_option


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@datasets_option
@defenses_option
@scale_option
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="N of the BIM that was traced.")
@figures_option
def main(
    tables: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    iterations: int,
    figures: tuple[Path, ...],
) -> None:
    """Draw Figure 2 from the evaluation TABLES of all cells."""
    evaluations = read_rows(tables)
    trace = evaluations[(evaluations["attack"] == "bim") & (evaluations["iterations"] == iterations)]
    save_figure(figure_2(trace, datasets, defenses), figures, in_a_line(scale, read_provenances(tables)))


if __name__ == "__main__":
    main()
