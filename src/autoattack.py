"""Evaluate a cell under AutoAttack; go on from its checkpoint if a run before was killed."""

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import torch
from torch import nn

from advtrain import checkpoint
from advtrain.autoattack import STAGES, State, autoattack
from advtrain.datasets import Examples
from advtrain.errors import InputError
from advtrain.results import Row
from cell import Cell, cell_options
from command import FILE, Command


@click.command(cls=Command, lower="autoattack.batch_size")
@cell_options
@click.option(
    "--fab-square-examples", required=True, type=click.IntRange(min=1), help="How many of them FAB and Square attack."
)
@click.option("--attack-seed", required=True, type=int, help="Draws the attacks' random starts.")
@click.option(
    "--checkpoint", "checkpoint_file", required=True, type=FILE, help="Where a killed run goes on; deleted at the end."
)
def main(cell: Cell, fab_square_examples: int, attack_seed: int, checkpoint_file: Path) -> None:
    """Evaluate a cell under AutoAttack."""
    if fab_square_examples > cell.examples:
        raise InputError(f"FAB and Square are to attack {fab_square_examples} of {cell.examples} examples")
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    numbers = dict(zip(STAGES, (cell.examples, cell.examples, fab_square_examples, fab_square_examples), strict=True))
    settings = {
        "apgd_examples": cell.examples,
        "fab_square_examples": fab_square_examples,
        "attack_seed": attack_seed,
        "batch_size": cell.batch_size,
    }

    def attack(model: nn.Module, data: Examples) -> Iterator[Row]:
        identity = {
            **settings,
            "epsilon": cell.epsilon,
            "code": checkpoint.library_digest("accuracy.py", "attacks.py", "autoattack.py", "frozen.py", "networks.py"),
            "data": checkpoint.tensor_digest(data.x, data.y),
            "device": data.y.device.type,
            "torch": str(torch.__version__),
            "pyautoattack": version("pyautoattack"),
        }
        states = checkpoint.load_if_same(checkpoint_file, identity) or {}
        network = checkpoint.tensor_digest(*model.state_dict().values())

        def save(state: State) -> None:
            checkpoint.save_state(checkpoint_file, identity, states | {network: state})

        yield from autoattack(
            model,
            data,
            epsilon=cell.epsilon,
            examples=numbers,
            seed=attack_seed,
            batch_size=cell.batch_size,
            state=states.get(network, {}),
            save=save,
        )

    cell.evaluate(attack, settings)
    checkpoint_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
