"""What a defense is: the class that each file of this folder subclasses, and what several of them share."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import AttackMode, cross_entropy
from advtrain.data.augmentation import Augment, Window, look, padded, write
from advtrain.data.examples import CLASSES
from advtrain.networks.plain import predict
from advtrain.system.errors import InputError, check_at_least_one
from advtrain.system.randomness import SeededRandom

AttackLabels = Literal["ground_truth", "predicted"]
TrainedOn = Literal["adversarial", "mixture"]


class Outcome(NamedTuple):
    """What a defense makes of a minibatch: the loss to descend, and the logits that it came from, to watch accuracy.

    Where several seeds are trained at once, each entry has their axis in front.
    """

    loss: Tensor
    """Scalar, or [S], with the graph to the network's weights."""
    clean_logits: Tensor | None
    """Logits of the clean images, [B, K]; None where the defense trains on none."""
    adversarial_logits: Tensor | None
    """Logits of the adversarial examples, [B, K]; None where the defense uses none."""


class Defense:
    """What a defense adds to plain training. Subclasses take their settings as keyword arguments of `__init__`.

    Randomness comes from `self.random` and from nowhere else: a training that draws from a global generator is refused, since
    it could not be resumed or repeated.
    """

    several_seeds: ClassVar[bool] = False
    """Whether all tensors below may have an axis of seeds in front: [S, B, C, H, W] for images, [S, B] for labels, [S] for
    the loss. A defense that counts its axes from the end and keeps a state for each seed can set this, and all its seeds are
    then trained at once on CUDA."""

    classes: int = CLASSES
    """Number K of the data set's classes; set before `start_training`."""

    random: SeededRandom
    """The generators of this training, one for each seed, on its device; set before `start_training`, saved in checkpoints."""

    batch_size: int
    """Images of a full minibatch; set before `start_training`."""

    augment: Augment = "none"
    """How training images are moved at each visit; set before `start_training`, whose images are not."""

    window: Window | None = None
    """What is seen of each image of the minibatch, set before its `outcome`; None where images are not augmented."""

    aligned: bool = True
    """Whether a carried perturbation is moved with its image; set before `start_training`."""

    replays: int = 1
    """Updates made of each minibatch, one after the other; each asks for an `outcome`."""

    def __init__(self, *, epsilon: float) -> None:
        self.epsilon = epsilon
        """The l-infinity budget of the adversarial examples in training, in the images' units."""

    def start_training(self, x: Tensor) -> None:
        """Prepare for the training images x [n, C, H, W], on the device of the training.

        For a CUDA graph, what a defense keeps from minibatch to minibatch is tensors that change in place.
        """

    def start_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 0."""

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """Loss and logits of a minibatch.

        Args:
            network: maps [B, C, H, W] to logits [B, K].
            x: clean images, [B, C, H, W].
            y: true labels, [B].
            index: positions of the images in the training set, [B].
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors that an exact resume needs besides the network's."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave, after `start_training`."""

    def noise(self, x: Tensor, radius: float) -> Tensor:
        """Numbers drawn evenly from [-radius, radius), of the shape of x."""
        return radius * (2 * self.random.uniform(x) - 1)


class Carrying(Defense):
    """A defense that carries an adversarial example for each training image and seed from epoch to epoch, in `x_adv`.

    Where images are cropped and flipped, whole canvases are carried: an example is seen through the window of its image and
    written back through it, as by Zheng et al. 2020. If not `aligned`, a perturbation is carried and added to its image however
    that is moved, as the code of FGSM-MEP and FGSM-PCO has it.
    """

    def __init__(self, *, epsilon: float, reset_epochs: int | None) -> None:
        """Args: reset_epochs, after which the examples start again, None for never."""
        super().__init__(epsilon=epsilon)
        if reset_epochs is not None:
            check_at_least_one("reset_epochs", reset_epochs)
        self.reset_epochs = reset_epochs

    def start_training(self, x: Tensor) -> None:
        """Make room for the examples [n, C, H, W]: canvases [n, C, H + 8, W + 8], or perturbations if not `aligned`."""
        if self.augment == "crop_flip":
            x = padded(x) if self.aligned else torch.zeros_like(x)
        self.x = x
        self.x_adv = x.clone()

    def start_epoch(self, epoch: int) -> None:
        """Start the examples in the first epoch, and again where a cycle starts."""
        if epoch == 0 or (self.reset_epochs and epoch % self.reset_epochs == 0):
            self.reset()

    def reset(self) -> None:
        """Start the examples: at the clean images."""
        self.x_adv.copy_(self.x)

    def carried(self, x: Tensor, index: Tensor) -> Tensor:
        """The examples [B, C, H, W] of a minibatch's images x [B, C, H, W] as the epoch before has left them."""
        kept = self.kept(self.x_adv, index)
        return kept if self.window is None or self.aligned else x + kept

    def carry(self, x: Tensor, x_adv: Tensor, index: Tensor) -> None:
        """Leave the examples x_adv [B, C, H, W] of a minibatch's images x for the next epoch."""
        self.keep(self.x_adv, x_adv if self.window is None or self.aligned else x_adv - x, index)

    def kept(self, of_images: Tensor, index: Tensor) -> Tensor:
        """The rows [B, C, H, W] of a minibatch in what is kept for each image as `x_adv` is."""
        return look(*seed_rows(of_images, index), self.window if self.aligned else None)

    def keep(self, of_images: Tensor, rows: Tensor, index: Tensor) -> None:
        """Put the rows [B, C, H, W] of a minibatch into what is kept for each image, in place."""
        write(*seed_rows(of_images, index), self.window if self.aligned else None, rows)

    def state_dict(self) -> dict[str, Tensor]:
        """What is carried, as `start_training` makes room for it."""
        return {"x_adv": self.x_adv}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the carried examples back."""
        self.x_adv.copy_(state["x_adv"])


def mixture(network: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Outcome:
    """Half clean, half adversarial: (CE(clean) + CE(adversarial)) / 2, from one forward pass (Goodfellow et al. 2015)."""
    logits = network(torch.cat([x, x_adv], dim=-4))
    of_halves = cross_entropy(logits, torch.cat([y, y], dim=-1)).unflatten(-1, (2, -1)).mean(-1)
    return Outcome(of_halves.mean(-1), *logits.chunk(2, dim=-2))


def trained(network: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, trained_on: TrainedOn) -> Outcome:
    """CE of the adversarial examples alone, or the paper's `mixture` with the clean images."""
    if trained_on == "mixture":
        return mixture(network, x, x_adv, y)
    logits = network(x_adv)
    return Outcome(cross_entropy(logits, y).mean(-1), None, logits)


def watched(x_adv: Tensor, see: Callable[[Tensor], None]) -> Tensor:
    """The images x_adv [B, C, H, W] to train on; `see` gets their gradient from the update's own backward pass, for free."""
    x_adv = x_adv.detach().requires_grad_()
    x_adv.register_hook(see)
    return x_adv


def both_logits(network: nn.Module, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, K] of the clean and of the adversarial half, both [B, C, H, W], from one forward pass."""
    clean_logits, adversarial_logits = network(torch.cat([x, x_adv], dim=-4)).chunk(2, dim=-2)
    return clean_logits, adversarial_logits


def attack_labels(network: nn.Module, x: Tensor, y: Tensor, labels: AttackLabels) -> Tensor:
    """The labels [B] whose loss an attack in training raises: the true ones, or the network's own predictions.

    Predictions avoid label leaking (Kurakin et al. 2017); ATDA's official code trains with them.
    """
    if labels == "ground_truth":
        return y
    return predict(network, x).argmax(dim=-1)


def seed_rows(kept: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """What a defense keeps for each image as one list of rows, and which of them are those of a minibatch.

    Args:
        kept: contiguous, [n, ...], or [S, n, ...] for S seeds.
        index: of the minibatch, [B] or [S, B].

    Returns:
        The rows [n, ...] or [S * n, ...], a view of `kept`, and the places of the minibatch in it, [B] or [S, B].
    """
    if index.dim() == 1:
        return kept, index
    seeds, n = kept.shape[:2]
    first = torch.arange(0, seeds * n, n, device=index.device)
    return kept.view(seeds * n, *kept.shape[2:]), first.unsqueeze(1) + index


def smoothed_cross_entropy(logits: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy [B] of logits [B, K] with targets of 1 - smoothing for the label and the rest evenly for the others."""
    classes = logits.shape[-1]
    spread = smoothing * classes / (classes - 1)  # torch spreads it over all classes, the label's too
    return F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none", label_smoothing=spread).view_as(y)


def check_trained_on(trained_on: str) -> None:
    """Raise InputError unless `trained_on` is one of the two choices."""
    _check_choice("trained_on", trained_on, get_args(TrainedOn))


def check_attack_mode(attack_mode: str) -> None:
    """Raise InputError unless `attack_mode` is one of the two choices."""
    _check_choice("attack_mode", attack_mode, get_args(AttackMode))


def check_labels(labels: str) -> None:
    """Raise InputError unless `labels` is one of the two choices."""
    _check_choice("labels", labels, get_args(AttackLabels))


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; it has to be {' or '.join(choices)}")
