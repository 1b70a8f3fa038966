"""Set the robustness of each classifier under the worst of all attacks against the price of its training."""

from pathlib import Path

import click

from advtrain import pareto
from advtrain.figures import save_figure
from advtrain.origin import in_a_line
from advtrain.results import provenance, read_provenances, read_table
from command import FILE, Command
from outputs import datasets_option, defenses_option, evaluations_argument, figures_option, read_rows, scale_option, write_rows


@click.command(cls=Command)
@evaluations_argument
@click.option("--timing", required=True, type=FILE, help="Table of time_epochs.py.")
@datasets_option
@defenses_option
@scale_option
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each classifier and measure of robustness.")
@figures_option
def main(
    evaluations: tuple[Path, ...],
    timing: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    parquet: Path,
    figures: tuple[Path, ...],
) -> None:
    """Set robustness against price from the EVALUATIONS of all cells."""
    table = pareto.pareto_table(read_rows(evaluations), read_table(timing).to_pandas(), datasets, defenses)
    inputs = read_provenances((*evaluations, timing))
    write_rows(table, parquet, provenance({}, inputs=inputs))
    save_figure(pareto.pareto_figure(table, datasets, defenses), figures, in_a_line(scale, inputs))


if __name__ == "__main__":
    main()
