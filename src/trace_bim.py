"""Evaluate a cell after each iterate of one BIM(N) (Figure 2)."""

from collections.abc import Iterator

import click
from torch import nn

from advtrain.datasets import Examples
from advtrain.evaluation import trace_bim
from advtrain.results import Row
from cell import Cell, cell_options
from command import Command


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options
@click.option("--iterations", required=True, type=click.IntRange(min=1), help="The number N.")
def main(cell: Cell, iterations: int) -> None:
    """Evaluate a cell after each iterate of one BIM(N)."""

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        return trace_bim(model, data, epsilon=cell.epsilon, iterations=iterations, batch_size=cell.batch_size)

    cell.evaluate(attack, {"iterations": iterations}, ensembles=True)


if __name__ == "__main__":
    main()
