"""Compare the choices that the paper leaves open with its Table I."""

from pathlib import Path

import click

from advtrain.report.labels import Labels
from advtrain.report.open_choices import page, variants_table
from cli.command import FromJson
from cli.report import Outputs, made_of, read_rows, report_command


@report_command(many="evaluations")
@click.option(
    "--classifiers",
    required=True,
    type=FromJson(dict[str, dict[str, str]]),
    help="For each defense the title of each choice, by classifier; JSON.",
)
@click.option("--fixed-step-divisor", required=True, type=float, help="Of epsilon, in BIM of a fixed step.")
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
