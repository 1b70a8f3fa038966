"""Evaluate a cell under AutoAttack; resume from its checkpoint if an earlier run was killed."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
from torch import nn

from advtrain.data.examples import Examples
from advtrain.evaluation.auto_attack import AutoAttackSettings, State, autoattack
from advtrain.evaluation.table import Row
from advtrain.results import checkpoint
from advtrain.results.code import code_digest
from cli.command import FILE, Command
from cli.evaluation import Cell, cell_options


@click.command(cls=Command, lower="autoattack.batch_size")
@cell_options(AutoAttackSettings)
@click.option("--checkpoint", "checkpoint_file", required=True, type=FILE, help="Where to resume; deleted at the end.")
def main(cell: Cell[AutoAttackSettings], checkpoint_file: Path) -> None:
    """Evaluate a cell under AutoAttack."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s")

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        settings = {**asdict(cell.settings), "pyautoattack": version("pyautoattack")}
        identity = checkpoint.identity(settings, code_digest("autoattack"), data.x, data.y)
        states = checkpoint.load_if_same(checkpoint_file, identity) or {}
        network = checkpoint.tensor_digest(*model.state_dict().values())

        def save(state: State) -> None:
            checkpoint.save_state(checkpoint_file, identity, states | {network: state})

        yield from autoattack(model, data, cell.settings, state=states.get(network, {}), save=save)

    cell.evaluate(attack)
    checkpoint_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
