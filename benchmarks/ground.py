"""The common ground of all parts: the same images, network, budget and machine for every contender."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from advtrain.data.examples import Examples, load_examples
from advtrain.system.device import prepare_device
from advtrain.networks.plain import new_network
from advtrain.training.trainer import Plan, Trainer

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"
"""The paper's scale."""

WARMED_UP_ON = 12_800
"""Training images of the one epoch that the attacked network has seen, so that its gradients are those of a trained one."""


@dataclass(frozen=True)
class Ground:
    """MNIST and the configuration of the paper's scale."""

    training: Examples
    test: Examples
    config: dict[str, Any]
    folder: Path
    """Where the images came from."""

    @property
    def epsilon(self) -> float:
        """The budget on MNIST, in the images' units."""
        return float(self.config["datasets"]["mnist"]["epsilon"])

    @property
    def batch_size(self) -> int:
        """Images of a training step."""
        return int(self.config["training"]["batch_size"])

    def trainer(self, defense: str, data: Examples, batch_size: int, seeds: int = 1) -> Trainer:
        """A fresh training of a defense of the configuration, as the pipeline does it; of several seeds at once."""
        settings = self.config["defenses"][defense]["training"]
        rate = self.config["training"]["learning_rate"]
        plan = Plan(
            self.config["network"], settings, self.epsilon, 1, batch_size, rate, monitor_examples=1, monitor_iterations=1
        )
        return Trainer(plan, data, list(range(seeds)))

    @cached_property
    def attacked(self) -> nn.Module:
        """A network after one quick epoch of plain training, in evaluation mode, on the CPU."""
        trainer = self.trainer("vanilla", self.training.first(WARMED_UP_ON), self.batch_size)
        trainer.train_epoch()
        return trainer.network.eval()

    def copy_of(self, network: nn.Module) -> nn.Module:
        """Another network of the same kind with the same weights, to be moved or trained apart."""
        copy = new_network(self.config["network"])
        copy.load_state_dict(network.state_dict())
        return copy.train(network.training)


def configuration() -> dict[str, Any]:
    """The configuration of the paper's scale."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return config


def load_ground(folder: Path) -> Ground:
    """Read the four IDX files of MNIST and the configuration."""
    return Ground(
        training=load_examples(folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"),
        test=load_examples(folder / "t10k-images-idx3-ubyte", folder / "t10k-labels-idx1-ubyte"),
        config=configuration(),
        folder=folder,
    )


def devices() -> list[torch.device]:
    """The CPU, and CUDA where there is one, as the pipeline's own scripts set it up."""
    return [prepare_device("cpu"), *([prepare_device("cuda")] if torch.cuda.is_available() else [])]


def all_cores() -> int:
    """How many threads this process can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_counts(device: torch.device) -> list[int]:
    """One and all cores on the CPU; one beside CUDA, where the CPU only launches kernels."""
    return sorted({1, all_cores()}) if device.type == "cpu" else [1]
