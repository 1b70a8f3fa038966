"""Evaluate a cell under AutoAttack; resume from its checkpoint if an earlier run was killed."""

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
from torch import nn

from advtrain.data.examples import Examples
from advtrain.evaluation.auto_attack import AutoAttackSettings, autoattack
from advtrain.evaluation.table import Row
from cli.command import Command
from cli.evaluation import Cell, cell_options, checkpoint_option


@click.command(cls=Command, lower="autoattack.batch_size")
@cell_options(AutoAttackSettings)
@checkpoint_option
def main(cell: Cell[AutoAttackSettings], checkpoint: Path) -> None:
    """Evaluate a cell under AutoAttack."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    with cell.resumable("autoattack", checkpoint, pyautoattack=version("pyautoattack")) as resume:

        def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
            state, save = resume(model)
            return autoattack(model, data, cell.settings, state=state, save=save)

        cell.evaluate(attack)


if __name__ == "__main__":
    main()
