"""Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N (Figure 1 and Table I)."""

from collections.abc import Iterator

import click
from torch import nn

from advtrain.datasets import Examples
from advtrain.evaluation import sweep_bim
from advtrain.results import Row
from cell import Cell, cell_options
from command import Command, Integers


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options
@click.option("--iterations", required=True, type=Integers(), help="The numbers N, with commas between.")
def main(cell: Cell, iterations: list[int]) -> None:
    """Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N."""

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        return sweep_bim(model, data, epsilon=cell.epsilon, iterations=iterations, batch_size=cell.batch_size)

    cell.evaluate(attack, {"iterations": iterations}, ensembles=True)


if __name__ == "__main__":
    main()
