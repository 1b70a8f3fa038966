"""Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin."""

from functools import partial

import click

from advtrain.evaluation.pgd import Strong, strong
from cli.command import Command
from cli.evaluation import Cell, cell_options


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Strong)
def main(cell: Cell[Strong]) -> None:
    """Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin."""
    pgd = cell.settings.pgd.attack(cell.settings.epsilon, cell.at_once)
    cell.evaluate(partial(strong, attack=pgd))


if __name__ == "__main__":
    main()
