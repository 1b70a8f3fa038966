"""Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N (Figure 1 and Table I), and with a fixed step."""

from collections.abc import Iterator

import click
from torch import nn

from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import Sweep, fixed_step_bim, sweep_bim
from advtrain.evaluation.table import Row
from cli.command import Command
from cli.evaluation import Cell, cell_options


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Sweep)
def main(cell: Cell[Sweep]) -> None:
    """Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N, with a step of epsilon/N and a fixed one."""

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        yield from sweep_bim(model, data, cell.settings, batch_size=cell.at_once)
        yield from fixed_step_bim(model, data, cell.settings, batch_size=cell.at_once)

    cell.evaluate(attack, ensembles=True)


if __name__ == "__main__":
    main()
