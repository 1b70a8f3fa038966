"""The settings of a training, and what it records of each epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pyarrow as pa

from advtrain.attacks.gradient import check_epsilon
from advtrain.data.augmentation import Augment
from advtrain.defenses import registry
from advtrain.system.errors import InputError, check_above_zero, check_not_negative
from advtrain.system.settings import check_counts


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides what a training computes, except for the images themselves."""

    network: str
    """One of `networks.plain.NETWORKS`, or a user's own, `file.py:function`."""
    defense: Mapping[str, Any]
    """`method` and its own settings."""
    epsilon: float
    """Radius of the l-infinity budget, in the images' units."""
    seeds: tuple[int, ...]
    """One network is trained for each; it sets the weights, the order of the images, and what a defense draws."""
    examples: int
    """Number of training images."""
    subset_seed: int
    """Draws them if they are not all."""
    epochs: int
    batch_size: int
    """Clean images a step; a defense adds its adversarial examples."""
    optimiser: Literal["adam", "sgd"]
    momentum: float
    """Of sgd; adam does not use it."""
    learning_rate: float
    schedule: tuple[tuple[float, float], ...]
    """Points (epoch, factor) of the learning rate, joined by straight lines; two at one epoch are a jump, none is constant."""
    weight_decay: float
    """What is added to each gradient, as a share of its weight (L2)."""
    precision: Literal["float32", "bfloat16"]
    """What a network's products are rounded to in training steps; everything else, and every evaluation, is float32."""
    augment: Augment
    """Whether each visit of a training image sees it cropped and flipped at random."""
    aligned: bool
    """Whether a perturbation that is carried from epoch to epoch is moved with its image."""
    zero_gradients: Literal["kept", "random_signs"]
    """Whether an attack in training leaves a pixel without gradient where it is, or moves it as rounding noise would."""
    held_out_examples: int
    """The last so many of the training images are watched and not trained on, and the weights of each seed's best epoch on them
    are kept beside the last epoch's; 0 for none."""
    monitor_examples: int
    """Size of the fixed slice of training images that is watched where none are held out; nothing is selected on it."""
    monitor_iterations: int
    """Iterations N of the BIM, epsilon / N a step, and the PGD that watch."""

    def __post_init__(self) -> None:
        registry.source_file(self.method)
        check_epsilon(self.epsilon)
        check_counts(self, "held_out_examples")
        if not 0 <= self.held_out_examples < self.examples:
            raise InputError(
                f"held_out_examples is {self.held_out_examples}; it has to be at least 0 and below examples, {self.examples}"
            )
        check_above_zero("learning_rate", self.learning_rate)
        check_not_negative("weight_decay", self.weight_decay)
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum is {self.momentum}; it has to be at least 0 and below 1")
        epochs = [epoch for epoch, _ in self.schedule]
        if epochs != sorted(epochs) or any(number < 0 for point in self.schedule for number in point):
            raise InputError(f"schedule is {self.schedule}; it needs points (epoch, factor) by epoch, none negative")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds is {list(self.seeds)}; at least one is needed, and none twice")

    @property
    def method(self) -> str:
        """Name of the defense's file."""
        return str(self.defense.get("method"))

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, such as 2.5."""
        before = [point for point in self.schedule if point[0] <= epoch]
        after = [point for point in self.schedule if point[0] > epoch]
        if before and after:
            (start, low), (end, high) = before[-1], after[0]
            return self.learning_rate * (low + (high - low) * (epoch - start) / (end - start))
        nearest = [*before[-1:], *after[:1]]
        return self.learning_rate * (nearest[0][1] if nearest else 1.0)

    def identity(self) -> dict[str, Any]:
        """What a checkpoint of this training has to agree with: not the number of epochs, since what has been trained serves a
        longer training as well, nor the seeds and the choice of images, which a checkpoint records itself.
        """
        left_out = ("epochs", "seeds", "examples", "subset_seed")
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass(frozen=True)
class EpochRecord:
    """A row of the training history; accuracies are shares in [0, 1]."""

    seed: int
    epoch: int
    """Number of epochs trained, from 1."""
    loss: float
    """Mean over the epoch's examples."""
    clean_accuracy: float
    """On the stream of minibatches, each seen just before its update; NaN where the defense trains on no clean images."""
    adversarial_accuracy: float
    """The same on the defense's own adversarial examples; NaN where it uses none."""
    robust_accuracy: float
    """Under BIM on the watched images, after the epoch; so are the next three. See `watch.Watched`."""
    fgsm_accuracy: float
    pgd_accuracy: float
    alignment: float
    seconds: float
    """Wall time of the epoch's training, without watching; shared out evenly where seeds are trained at once."""


HISTORY_SCHEMA = pa.schema({field.name: pa.int64() if field.type is int else pa.float64() for field in fields(EpochRecord)})
"""Columns of the training history, one row for each `EpochRecord`."""
