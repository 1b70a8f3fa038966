"""The command line that the evaluations of a cell share: a trained model with all its seeds, and test images to attack."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from torch import nn

from advtrain.data.examples import Examples, load_examples
from advtrain.evaluation.all_seeds import evaluate_all_seeds
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import EVALUATION_SCHEMA, Row
from advtrain.networks.trained import load_networks
from advtrain.results import checkpoint
from advtrain.results.code import code_digest
from advtrain.results.parquet import write_rows
from advtrain.results.provenance import Provenance, made_by
from advtrain.system.device import images_at_once, numerics, prepare_device
from cli.command import FILE, FromJson

S = TypeVar("S", bound=OnTestImages)
State = dict[str, Any]
Resume = Callable[[nn.Module], tuple[State, Callable[[State], None]]]
"""From a network to how far an earlier run got with it, and a function that saves how far this one got."""


@dataclass(frozen=True)
class Cell(Generic[S]):
    """A cell (one defense on one data set), and what to evaluate it with."""

    dataset: str
    defense: str
    model: Path
    images: Path
    labels: Path
    settings: S
    batch_size: int
    device: str
    output: Path

    @functools.cached_property
    def data(self) -> Examples:
        """The test images, on the device."""
        examples = load_examples(self.images, self.labels).subset(self.settings.examples, self.settings.subset_seed)
        return examples.to(prepare_device(self.device))

    @property
    def at_once(self) -> int:
        """How many images an attack takes at once."""
        return images_at_once(self.data.x.device, self.batch_size, len(self.networks))

    @functools.cached_property
    def networks(self) -> dict[int, nn.Module]:
        """The trained networks by seed, on the device."""
        return load_networks(self.model, self.data)

    def provenance(self, **inputs: Provenance) -> Provenance:
        """What makes a result of this cell: its settings, the model, and other inputs."""
        model = Provenance.from_content(checkpoint.load(self.model)["provenance"])
        settings = {"dataset": self.dataset, "defense": self.defense, **asdict(self.settings)}
        return made_by(settings, numerics=numerics(self.data.x.device), inputs={"model": model, **inputs})

    def evaluate(self, attack: Callable[[nn.Module, Examples], Iterator[Row]], *, ensembles: bool = False) -> None:
        """Write the rows that `attack` gives for each seed's network; arguments as of `evaluate_all_seeds`."""
        rows = evaluate_all_seeds(self.networks, self.data, attack, ensembles=ensembles)
        write_rows(self.evaluations(rows), EVALUATION_SCHEMA, self.output, self.provenance())

    @contextlib.contextmanager
    def resumable(self, script: str, file: Path, **more: str) -> Iterator[Resume]:
        """Keep in `file` how far a script got with each network, for a run that is killed; delete it where the block ends well.

        `more` is what its results depend on besides settings, code and images. Raises as `load_if_same`.
        """
        identity = checkpoint.identity({**asdict(self.settings), **more}, code_digest(script), self.data.x, self.data.y)
        states = checkpoint.load_if_same(file, identity) or {}

        trained = checkpoint.load(self.model)
        of = f"{trained['network']} {trained.get('source', '')}"

        def resume(network: nn.Module) -> tuple[State, Callable[[State], None]]:
            name = f"{of} {checkpoint.tensor_digest(*network.state_dict().values())}"

            def save(state: State) -> None:
                states[name] = state
                checkpoint.save_state(file, identity, states)

            return states.get(name, {}), save

        yield resume
        file.unlink(missing_ok=True)

    def evaluations(self, rows: list[Row]) -> list[Row]:
        """Rows of the evaluation table with the columns that say which cell they are about, and with that of chance."""
        chance = {examples: self.data.first(examples).chance for examples in {row["examples"] for row in rows}}
        return self.named([{**row, "chance": chance[row["examples"]]} for row in rows])

    def named(self, rows: list[Row]) -> list[Row]:
        """The rows with the columns that say which cell they are about."""
        return [{"dataset": self.dataset, "defense": self.defense, **row} for row in rows]


checkpoint_option = click.option("--checkpoint", required=True, type=FILE, help="Where to resume; deleted at the end.")


def cell_options(kind: type[S]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a click command the options of a cell, as its first argument; `kind` is the dataclass of its settings."""
    of_cell = (
        click.option("--dataset", required=True, help="Name of the data set."),
        click.option("--defense", required=True, help="Name of the defense."),
        click.option("--model", required=True, type=FILE, help="The weights of all seeds, from train.py."),
        click.option("--images", required=True, type=FILE, help="Test images, uncompressed IDX."),
        click.option("--labels", required=True, type=FILE, help="Test labels, uncompressed IDX."),
        click.option("--settings", required=True, type=FromJson(kind), help=f"{kind.__doc__} JSON."),
        click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images attacked at once."),
        click.option("--device", required=True, help="auto, cuda, mps or cpu."),
        click.option("--output", required=True, type=FILE, help="Output: Parquet."),
    )

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def bundled(**options: Any) -> None:
            function(Cell(**{name: options.pop(name) for name in Cell.__dataclass_fields__}), **options)

        for option in reversed(of_cell):
            bundled = option(bundled)
        return bundled

    return decorate
