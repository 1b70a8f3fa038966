"""Compare the classifiers with each other, under every attack of Table I."""

from pathlib import Path

import click

from advtrain import tables
from advtrain.results import provenance, read_provenances
from command import Command
from outputs import Outputs, datasets_option, defenses_option, evaluations_argument, outputs_options, read_rows


@click.command(cls=Command)
@evaluations_argument
@datasets_option
@defenses_option
@outputs_options
def main(
    outputs: Outputs,
    evaluations: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
) -> None:
    """Compare the classifiers from the EVALUATIONS of all cells."""
    table = tables.differences(read_rows(evaluations), datasets, defenses)
    sections = tables.differences_page(table, datasets, defenses)
    made = provenance({}, inputs=read_provenances(evaluations))
    outputs.write(table, made, "Differences", sections, titled=True)


if __name__ == "__main__":
    main()
