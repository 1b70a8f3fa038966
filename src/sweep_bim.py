"""Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N (Figure 1 and Table I), and with a fixed step."""

from collections.abc import Iterator

import click
from torch import nn

from advtrain.datasets import Examples
from advtrain.evaluation import fixed_step_bim, sweep_bim
from advtrain.results import Row
from cell import Cell, cell_options
from command import Command, Integers


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options
@click.option("--iterations", required=True, type=Integers(), help="The numbers N, with commas between.")
@click.option("--fixed-step-divisor", required=True, type=click.FloatRange(min=0, min_open=True), help="Of epsilon.")
@click.option("--fixed-step-iterations", required=True, type=Integers(), help="Numbers of steps of that length.")
def main(cell: Cell, iterations: list[int], fixed_step_divisor: float, fixed_step_iterations: list[int]) -> None:
    """Evaluate a cell on clean images, under FGSM, and under BIM(N) for each N, of epsilon/N a step and of a fixed one."""

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        yield from sweep_bim(model, data, epsilon=cell.epsilon, iterations=iterations, batch_size=cell.batch_size)
        yield from fixed_step_bim(
            model,
            data,
            epsilon=cell.epsilon,
            divisor=fixed_step_divisor,
            iterations=fixed_step_iterations,
            batch_size=cell.batch_size,
        )

    settings = {
        "iterations": iterations,
        "fixed_step": {"divisor": fixed_step_divisor, "iterations": fixed_step_iterations},
    }
    cell.evaluate(attack, settings, ensembles=True)


if __name__ == "__main__":
    main()
