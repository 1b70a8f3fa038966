"""Make a model of a cell's best epochs, from the model of its last ones."""

from pathlib import Path

import click

from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from cli.command import FILE, Command


@click.command(cls=Command)
@click.argument("model", type=FILE)
@click.option("--output", required=True, type=FILE, help="Output: the weights of all seeds, each of its best epoch.")
def main(model: Path, output: Path) -> None:
    """Make a model of the epochs that were best on the images held out."""
    trained = checkpoint.load(model)
    if not trained["best"]:
        raise InputError(f"{model} has no best epochs: no images were held out; set training.held_out_examples")
    weights = {seed: best["weights"] for seed, best in trained["best"].items()}
    checkpoint.save(output, {**trained, "weights": weights, "best": {}})


if __name__ == "__main__":
    main()
