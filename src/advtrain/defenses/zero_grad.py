"""ZeroGrad: Fast-AT that leaves alone the pixels with the smallest gradients, whose sign means little.

Golgooni et al. 2021, "ZeroGrad: mitigating and explaining catastrophic overfitting in FGSM adversarial training", as their code
has it:

    start = clip(x + U(-epsilon, epsilon), 0, 1)
    g     = gradient of L(C(start), y), zero where |g| is below the q-quantile of its image, q = 0.35
    loss  = L(C(P(start + 2 epsilon sign(g))), y)

P projects onto the budget and [0, 1]. Nothing is carried. Price: 2 forward and 2 backward passes, 3 each in the mixture.
"""

import math

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import AttackMode, input_gradient, project
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_attack_mode, check_trained_on, trained
from advtrain.fast.choice import frozen
from advtrain.system.errors import InputError


class ZeroGrad(Defense):
    """The share `quantile` of each image's pixels is not moved."""

    several_seeds = True

    def __init__(self, *, epsilon: float, quantile: float, trained_on: TrainedOn, attack_mode: AttackMode) -> None:
        super().__init__(epsilon=epsilon)
        if not 0 <= quantile <= 1:
            raise InputError(f"quantile is {quantile}; it has to lie in [0, 1]")
        check_trained_on(trained_on)
        check_attack_mode(attack_mode)
        self.quantile = quantile
        self.trained_on = trained_on
        self.attack_mode = attack_mode

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(FGSM from a random start, without the smallest gradients)."""
        start = (x + self.noise(x, self.epsilon)).clamp(0, 1)
        gradient, _ = input_gradient(frozen(network), start, y, mode=self.attack_mode)
        sizes = gradient.abs().flatten(-3).sort(dim=-1).values
        threshold = sizes[..., math.ceil(self.quantile * (sizes.shape[-1] - 1))][..., None, None, None]
        gradient = torch.where(gradient.abs() < threshold, 0, gradient)
        x_adv = project(start + 2 * self.epsilon * gradient.sign(), x, self.epsilon)
        return trained(network, x, x_adv, y, self.trained_on)
