"""Compare the choices that the paper leaves open with its Table I."""

from pathlib import Path

import click

from advtrain.report.labels import Labels
from advtrain.report.open_choices import page, variants_table
from cli.command import Command, FromJson
from cli.report import Outputs, evaluations_option, labels_option, made_of, outputs_option, read_rows


@click.command(cls=Command)
@evaluations_option
@click.option(
    "--classifiers",
    required=True,
    type=FromJson(dict[str, dict[str, str]]),
    help="For each defense the title of each choice, by classifier; JSON.",
)
@click.option("--fixed-step-divisor", required=True, type=float, help="Of epsilon, in BIM of a fixed step.")
@labels_option
@outputs_option
def main(
    evaluations: tuple[Path, ...],
    classifiers: dict[str, dict[str, str]],
    fixed_step_divisor: float,
    labels: Labels,
    outputs: Outputs,
) -> None:
    """Compare the choices that the paper leaves open."""
    fixed_step = f"BIM of ε/{fixed_step_divisor:g} a step"
    table = variants_table(read_rows(evaluations), classifiers, list(labels.datasets), fixed_step)
    outputs.write_table(table, made_of(labels, evaluations))
    outputs.write_page("What the paper leaves open", page(table, labels))


if __name__ == "__main__":
    main()
