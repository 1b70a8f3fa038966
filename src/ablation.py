"""Compare the steps and periods of Proposed with the paper's own choice, as a table and as heat maps."""

from pathlib import Path

import click

from advtrain import ablation
from advtrain.ablation_map import ablation_map
from advtrain.figures import save_figure
from advtrain.origin import in_a_line
from advtrain.results import provenance, read_provenances
from command import Command, Json
from outputs import Outputs, datasets_option, evaluations_argument, figures_option, outputs_options, read_rows, scale_option


@click.command(cls=Command)
@evaluations_argument
@click.option(
    "--classifiers", required=True, type=Json(), help="Step divisor and epochs between two resets of each, by name; JSON."
)
@datasets_option
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Length of the training.")
@scale_option
@outputs_options
@figures_option
def main(
    outputs: Outputs,
    evaluations: tuple[Path, ...],
    classifiers: dict[str, list[int]],
    datasets: dict[str, str],
    epochs: int,
    scale: str,
    figures: tuple[Path, ...],
) -> None:
    """Compare the steps and periods from the EVALUATIONS of all classifiers, by sweep_bim.py, trace_bim.py and strong.py."""
    table = ablation.ablation_table(read_rows(evaluations), classifiers, list(datasets), epochs)
    inputs = read_provenances(evaluations)
    made = provenance({"classifiers": classifiers, "scale": scale}, inputs=inputs)
    outputs.write(table, made, "The step and the resets of Proposed", ablation.page(table, datasets, scale))
    save_figure(ablation_map(table, datasets), figures, in_a_line(scale, inputs))


if __name__ == "__main__":
    main()
