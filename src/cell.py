"""The command line that the evaluations of a cell share: a trained model with all its seeds, and test images to attack."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from torch import nn

from advtrain import checkpoint
from advtrain.attacks import check_epsilon
from advtrain.datasets import Examples, load_examples
from advtrain.device import describe_device, prepare_device
from advtrain.networks import new_network
from advtrain.results import Row, evaluation_table, provenance, write_table
from command import FILE

OPTIONS = (
    click.option("--dataset", required=True, help="Name of the data set."),
    click.option("--defense", required=True, help="Name of the defense."),
    click.option("--model", required=True, type=FILE, help="The weights of all seeds, from train.py."),
    click.option("--images", required=True, type=FILE, help="Test images, uncompressed IDX."),
    click.option("--labels", required=True, type=FILE, help="Test labels, uncompressed IDX."),
    click.option("--examples", required=True, type=click.IntRange(min=1), help="Number of test images."),
    click.option("--subset-seed", required=True, type=int, help="Draws the test images if they are not all."),
    click.option("--epsilon", required=True, type=float, help="Radius of the l-infinity budget."),
    click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images attacked at once."),
    click.option("--device", required=True, help="auto, cuda, mps or cpu."),
    click.option("--output", required=True, type=FILE, help="Output: rows of the evaluation table, Parquet."),
)


@dataclass(frozen=True)
class Cell:
    """What `OPTIONS` say."""

    dataset: str
    defense: str
    model: Path
    images: Path
    labels: Path
    examples: int
    subset_seed: int
    epsilon: float
    batch_size: int
    device: str
    output: Path

    def evaluate(self, attack: Callable[[nn.Module, Examples], Iterator[Row]], settings: dict[str, Any]) -> None:
        """Write the rows that `attack` gives for each seed's network; `settings` are its own, for the provenance."""
        device = prepare_device(self.device)
        data = load_examples(self.images, self.labels).subset(self.examples, self.subset_seed).to(device)
        trained = checkpoint.load(self.model)
        rows = []
        for seed, weights in trained["weights"].items():
            network = new_network(trained["network"])
            network.load_state_dict(weights)
            for row in attack(network.to(device), data):
                rows.append({"dataset": self.dataset, "defense": self.defense, "seed": int(seed), **row})
        config = {
            "dataset": self.dataset,
            "defense": self.defense,
            "examples": self.examples,
            "subset_seed": self.subset_seed,
            "epsilon": self.epsilon,
            **settings,
        }
        made = provenance(config, describe_device(device), inputs={"model": trained["provenance"]})
        write_table(evaluation_table(rows), self.output, made)


def cell_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a click command the options of a cell, as its first argument `cell`."""

    @functools.wraps(function)
    def bundled(**options: Any) -> None:  # noqa: ANN401
        cell = Cell(**{name: options.pop(name) for name in Cell.__dataclass_fields__})
        check_epsilon(cell.epsilon)
        function(cell, **options)

    for option in reversed(OPTIONS):
        bundled = option(bundled)
    return bundled
