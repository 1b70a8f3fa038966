"""The defenses, one file each, found by the file's name.

To add one, write a file here with a subclass of `Defense`, and name the file as `method` of an entry of the configuration's
`defenses`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from advtrain.attacks import cross_entropy, evaluation_mode
from advtrain.errors import InputError

AttackLabels = Literal["ground_truth", "predicted"]


class Outcome(NamedTuple):
    """What a defense makes of a minibatch: the loss to descend, and the logits that it came from, to watch accuracy.

    Where several seeds are trained at once, each entry has their axis in front.
    """

    loss: Tensor
    """Scalar, or [S], with the graph to the network's weights."""
    clean_logits: Tensor
    """Logits of the clean images, [B, K]."""
    adversarial_logits: Tensor | None
    """Logits of the adversarial examples, [B, K]; None where the defense uses none."""


class Defense:
    """What a defense adds to plain training. Subclasses take their settings as keyword arguments of `__init__`."""

    several_seeds: ClassVar[bool] = False
    """Whether all tensors below may have an axis of seeds in front: [S, B, 1, 28, 28] for images, [S, B] for labels, [S] for
    the loss. One that counts its axes from the end and keeps a state for each seed may say so, and is trained on all seeds at
    once on CUDA."""

    def __init__(self, *, epsilon: float) -> None:
        """Args: epsilon, the l-infinity budget of the adversarial examples in training, in the images' units."""
        self.epsilon = epsilon

    def start_training(self, x: Tensor) -> None:
        """Prepare for the training images x [n, 1, 28, 28], on the device of the training.

        For a CUDA graph, what a defense keeps from minibatch to minibatch is tensors that change in place.
        """

    def start_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 0."""

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """Loss and logits of a minibatch.

        Args:
            network: maps [B, 1, 28, 28] to logits [B, K].
            x: clean images, [B, 1, 28, 28].
            y: true labels, [B].
            index: where the images stand in the training set, [B].
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors that an exact resume needs beside the network's."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave, after `start_training`."""


def mixture(network: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Outcome:
    """Half clean, half adversarial: (CE(clean) + CE(adversarial)) / 2, from one forward pass (Goodfellow et al. 2015)."""
    clean_logits, adversarial_logits = both_logits(network, x, x_adv)
    loss = (cross_entropy(clean_logits, y).mean(-1) + cross_entropy(adversarial_logits, y).mean(-1)) / 2
    return Outcome(loss, clean_logits, adversarial_logits)


def both_logits(network: nn.Module, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, K] of the clean and of the adversarial half, both [B, 1, 28, 28], from one forward pass."""
    clean_logits, adversarial_logits = network(torch.cat([x, x_adv], dim=-4)).chunk(2, dim=-2)
    return clean_logits, adversarial_logits


def attack_labels(network: nn.Module, x: Tensor, y: Tensor, labels: AttackLabels) -> Tensor:
    """The labels [B] that an attack in training raises the loss of: the true ones, or the network's own predictions.

    Predictions avoid label leaking (Kurakin et al. 2017); ATDA's official code trains with them.
    """
    if labels == "ground_truth":
        return y
    with torch.no_grad(), evaluation_mode(network):
        predicted: Tensor = network(x).argmax(dim=-1)
    return predicted


def kept_at(index: Tensor) -> tuple[Tensor, ...]:
    """Where the minibatch `index`, [B] or [S, B] for S seeds, stands in what a defense keeps, [n, ...] or [S, n, ...]."""
    if index.dim() == 1:
        return (index,)
    return torch.arange(len(index), device=index.device).unsqueeze(1), index


def methods() -> list[str]:
    """Names of all defenses, which are those of the files in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def source_file(method: str) -> Path:
    """The file of the defense `method`.

    Raises:
        InputError: there is no such file.
    """
    if method not in methods():
        raise InputError(f"method {method!r} is not a defense; there are {', '.join(methods())}")
    return Path(__path__[0]) / f"{method}.py"


def create(settings: Mapping[str, Any], *, epsilon: float) -> Defense:
    """Make the defense of one configuration entry.

    Args:
        settings: the entry: `method`, the name of a file in this folder, and that defense's own keyword arguments.
        epsilon: the data set's budget.

    Raises:
        InputError: `method` is missing or unknown, or the defense does not take a key, misses one or refuses its value.
    """
    arguments = dict(settings)
    method = arguments.pop("method", None)
    defense = _defense_in(source_file(method))
    known = set(inspect.signature(defense).parameters) - {"epsilon"}
    if arguments.keys() != known:
        wrong = sorted(arguments.keys() - known) or sorted(known - arguments.keys())
        word = "takes no" if arguments.keys() - known else "needs"
        raise InputError(f"defense {method} {word} {', '.join(wrong)}; its settings are {', '.join(sorted(known)) or 'none'}")
    return defense(epsilon=epsilon, **arguments)


def _defense_in(file: Path) -> type[Defense]:
    """The one subclass of `Defense` that a file of this folder defines."""
    module = importlib.import_module(f"{__name__}.{file.stem}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Defense) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise InputError(f"{file} defines {len(found)} subclasses of Defense; exactly one is needed")
    return found[0]


def check_labels(labels: str) -> None:
    """Raise InputError unless `labels` is one of the two choices."""
    if labels not in ("ground_truth", "predicted"):
        raise InputError(f"labels is {labels!r}; it has to be ground_truth or predicted")
