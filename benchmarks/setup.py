"""What is the same for every contender: the images, the configuration, the network that is attacked."""

import itertools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from advtrain.data.examples import Examples, load_examples
from advtrain.results.code import settings_of
from advtrain.system.settings import read_settings
from advtrain.training.plan import Plan
from advtrain.training.trainer import Trainer

REPOSITORY = Path(__file__).parents[1]
CONFIG: dict[str, Any] = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
"""The paper's scale."""
WARM_UP_STEPS = 200


@dataclass(frozen=True)
class Setup:
    """The images of MNIST."""

    training: Examples
    test: Examples

    @classmethod
    def load(cls, folder: Path) -> "Setup":
        """Read the four IDX files."""
        files = [(folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")]
        return cls(*(load_examples(*pair) for pair in files))

    def plan(self, defense: str) -> Plan:
        """How the pipeline trains a defense, with one seed and all images at hand."""
        own = CONFIG["defenses"][defense]["training"]
        values = {"network": CONFIG["network"], "subset_seed": CONFIG["subset_seed"], **CONFIG["training"], **own}
        values |= {"seeds": [0], "examples": len(self.training), "epsilon": CONFIG["datasets"]["mnist"]["epsilon"]}
        values["defense"] = {key: values[key] for key in ("method", *settings_of(own["method"]))}
        return read_settings(Plan, {field.name: values[field.name] for field in fields(Plan)})

    def trainer(self, defense: str) -> Trainer:
        """A fresh training of a defense, as the pipeline does it."""
        plan = self.plan(defense)
        return Trainer(plan, self.training, plan.seeds)

    def attacked(self) -> nn.Module:
        """A network in evaluation mode, after a short plain training, so that its gradients are those of a trained one."""
        trainer = self.trainer("vanilla")
        for index in itertools.islice(trainer.endless_minibatches(), WARM_UP_STEPS):
            trainer.run_step(index)
        return trainer.network.eval()
