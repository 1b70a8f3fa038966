"""Compare the choices that the paper leaves open with its Table I."""

from pathlib import Path

import click

from advtrain import variants
from advtrain.results import provenance, read_provenances
from command import Command, Json
from outputs import Outputs, datasets_option, defenses_option, evaluations_argument, outputs_options, read_rows, scale_option


@click.command(cls=Command)
@evaluations_argument
@click.option(
    "--classifiers", required=True, type=Json(), help="For each defense the title of each choice, by classifier; JSON."
)
@datasets_option
@defenses_option
@click.option("--fixed-step-divisor", required=True, type=float, help="Of epsilon, in BIM of a fixed step.")
@scale_option
@outputs_options
def main(
    outputs: Outputs,
    evaluations: tuple[Path, ...],
    classifiers: dict[str, dict[str, str]],
    datasets: dict[str, str],
    defenses: dict[str, str],
    fixed_step_divisor: float,
    scale: str,
) -> None:
    """Compare the choices from the EVALUATIONS of all classifiers, the tables of sweep_bim.py and trace_bim.py."""
    fixed_step = f"BIM of ε/{fixed_step_divisor:g} a step"
    table = variants.variants_table(read_rows(evaluations), classifiers, list(datasets), fixed_step)
    made = provenance({"scale": scale}, inputs=read_provenances(evaluations))
    outputs.write(table, made, "What the paper leaves open", variants.page(table, datasets, defenses, scale))


if __name__ == "__main__":
    main()
