"""Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin."""

from collections.abc import Iterator
from typing import Any

import click
from torch import nn

from advtrain.datasets import Examples
from advtrain.evaluation import Pgd, strong
from advtrain.results import Row
from cell import Cell, cell_options
from command import Command, Json


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options
@click.option("--pgd", "settings", required=True, type=Json(), help="Its iterations, step_factor, restarts and seed, as JSON.")
def main(cell: Cell, settings: dict[str, Any]) -> None:
    """Evaluate a cell under PGD from random starts, on the cross-entropy and on the margin."""
    pgd = Pgd.from_settings(settings, cell.epsilon, cell.batch_size)

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        return strong(model, data, pgd)

    cell.evaluate(attack, {"pgd": settings})


if __name__ == "__main__":
    main()
