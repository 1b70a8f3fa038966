"""Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin; resume if an earlier run was killed."""

from collections.abc import Iterator
from pathlib import Path

import click
from torch import nn

from advtrain.data.examples import Examples
from advtrain.evaluation.pgd import Strong, strong
from advtrain.evaluation.table import Row
from cli.command import Command
from cli.evaluation import Cell, cell_options, checkpoint_option


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Strong)
@checkpoint_option
def main(cell: Cell[Strong], checkpoint: Path) -> None:
    """Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin."""
    pgd = cell.settings.pgd.attack(cell.settings.epsilon, cell.at_once)
    with cell.resumable("strong", checkpoint) as resume:

        def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
            state, save = resume(model)
            return strong(model, data, pgd, state=state, save=save)

        cell.evaluate(attack)


if __name__ == "__main__":
    main()
