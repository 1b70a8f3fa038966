"""SORA: FGSM from a random start, whose step follows how well the gradients before and after it agree.

Teymourian et al. 2026, "SORA: free second-order attacks in fast adversarial training", as their code has it:

    start = clip(x + U(-epsilon, epsilon), 0, 1)
    g     = gradient of L(C(start), y)
    step  = 2 epsilon min(1, 0.02 / (1 - v))
    x_adv = clip(start + step U(0, 1) sign(g), 0, 1), not clipped to epsilon; loss = L(C(x_adv), y)
    v     = clip(0.95 v + 0.05 mean over images of (sign(g) . h / |g|_1), -1, 1)

h is the gradient with respect to x_adv, which the update's own backward pass gives for free; g too is of the network in
training mode. Carried: v, one number for all images, from 0.99 and without a reset. Price: 2 forward and 2 backward passes, 3
each in the mixture.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import input_gradient
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_trained_on, trained, watched
from advtrain.fast.choice import frozen

START, KEPT, BEND = 0.99, 0.95, 0.02


class Sora(Defense):
    """FGSM with an adaptive step."""

    several_seeds = True

    def __init__(self, *, epsilon: float, trained_on: TrainedOn) -> None:
        super().__init__(epsilon=epsilon)
        check_trained_on(trained_on)
        self.trained_on = trained_on

    def start_training(self, x: Tensor) -> None:
        """The agreement v, a number for each seed."""
        self.agreement = x.new_full(x.shape[:-4], START)

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(x_adv); its backward pass moves the agreement."""
        start = (x + self.noise(x, self.epsilon)).clamp(0, 1)
        gradient, _ = input_gradient(frozen(network), start, y, mode="training")
        step = 2 * self.epsilon * (BEND / (1 - self.agreement)).clamp(max=1)
        x_adv = (start + step[..., None, None, None, None] * self.random.uniform(x) * gradient.sign()).clamp(0, 1)
        return trained(network, x, watched(x_adv, partial(self.compare, gradient)), y, self.trained_on)

    def compare(self, gradient: Tensor, after: Tensor) -> None:
        """Move the agreement, in place, by the gradients of the sum of losses before and of their mean after the step."""
        images = gradient.shape[-4] * (2 if self.trained_on == "mixture" else 1)
        norm = gradient.abs().sum((-3, -2, -1)).clamp_min(torch.finfo(gradient.dtype).tiny)
        agreed = images * (gradient.sign() * after).sum((-3, -2, -1)) / norm
        self.agreement.copy_((KEPT * self.agreement + (1 - KEPT) * agreed.mean(-1)).clamp(-1, 1))

    def state_dict(self) -> dict[str, Tensor]:
        """The agreement, one number."""
        return {"agreement": self.agreement}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the agreement back."""
        self.agreement.copy_(state["agreement"])
