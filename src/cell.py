"""The command line that the evaluations of a cell share: a trained model with all its seeds, and test images to attack."""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from advtrain import checkpoint
from advtrain.attacks import check_epsilon
from advtrain.datasets import Examples, load_examples
from advtrain.device import describe_device, prepare_device, select_device
from advtrain.ensemble import Ensemble, quicker_at_once
from advtrain.networks import new_network
from advtrain.results import Row, evaluation_table, provenance, write_table
from command import FILE

Attack = Callable[[nn.Module, Examples], Iterator[Row]]

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

    def key(self, seed: int) -> Row:
        """The columns that say which model a row is about."""
        return {"dataset": self.dataset, "defense": self.defense, "seed": seed}

    def load(self) -> tuple[Examples, dict[int, nn.Sequential]]:
        """The test images and the trained networks by seed, on the device."""
        device = prepare_device(self.device)
        data = load_examples(self.images, self.labels).subset(self.examples, self.subset_seed)
        return data.to(device), load_networks(self.model, device)

    def provenance(self, settings: dict[str, Any], **inputs: dict[str, Any]) -> dict[str, Any]:
        """What makes a result of this cell: its own settings, and the provenance of what it was made of."""
        config = {
            **{name: getattr(self, name) for name in ("dataset", "defense", "examples", "subset_seed", "epsilon")},
            **settings,
        }
        device = describe_device(select_device(self.device))
        return provenance(config, device, inputs={"model": checkpoint.load(self.model)["provenance"], **inputs})

    def evaluate(self, attack: Attack, settings: dict[str, Any], *, ensembles: bool = False) -> None:
        """Write the rows that `attack` gives for each seed's network.

        Args:
            attack: gives rows of the evaluation table for a network and the test images.
            settings: its own, for the provenance.
            ensembles: whether it takes an ensemble of all seeds as well, and gives a row for each in turn.
        """
        data, networks = self.load()
        if ensembles and len(networks) > 1 and quicker_at_once(data.x.device):
            figures = attack(Ensemble(list(networks.values())), data)
            rows = [{**self.key(seed), **row} for seed, row in zip(itertools.cycle(networks), figures, strict=False)]
            rows.sort(key=lambda row: list(networks).index(row["seed"]))
        else:
            rows = [{**self.key(seed), **row} for seed, network in networks.items() for row in attack(network, data)]
        write_table(evaluation_table(rows), self.output, self.provenance(settings))


def load_networks(model: Path, device: torch.device) -> dict[int, nn.Sequential]:
    """The trained networks of a cell by seed, from the file that train.py wrote."""
    trained = checkpoint.load(model)
    networks: dict[int, nn.Sequential] = {}
    for seed, weights in trained["weights"].items():
        network = new_network(trained["network"])
        network.load_state_dict(weights)
        networks[int(seed)] = network.to(device)
    return networks


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
