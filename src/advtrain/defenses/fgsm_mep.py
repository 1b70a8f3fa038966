"""FGSM-MEP (FGSM-PGI): FGSM-EP whose perturbation is carried along the momentum of all epochs' gradients.

Jia et al. 2022, "Prior-guided adversarial initialization for fast adversarial training", as their code has it:

    start = x + epsilon sign(U(-1, 1)), m = 0, in every 40th epoch; not clipped to [0, 1]
    g     = gradient of LS(C(start), y)
    m     = g / |g|_1 + 0.3 m, with the norm over the whole minibatch
    x_adv = P(start + epsilon sign(g)), loss = LS(C(x_adv), y) + 10 MSE(C(x_adv), C(start))
    start = P(start + epsilon sign(m)), for the next epoch

LS and MSE as in FGSM-EP. Carried: start and m of each image; both are reset every 40 epochs. Price: 2 forward and 3 backward
passes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import project
from advtrain.defenses.base import Outcome
from advtrain.defenses.fgsm_ep import FgsmEp
from advtrain.system.errors import InputError, check_at_least_one


class FgsmMep(FgsmEp):
    """FGSM-EP with momentum `decay` (0.3), started anew after `redraw_epochs` (40)."""

    several_seeds = True

    def __init__(self, *, epsilon: float, label_smoothing: float, regulariser: float, decay: float, redraw_epochs: int) -> None:
        super().__init__(epsilon=epsilon, label_smoothing=label_smoothing, regulariser=regulariser)
        check_at_least_one("redraw_epochs", redraw_epochs)
        if not 0 <= decay < 1:
            raise InputError(f"decay is {decay}; it has to be at least 0 and below 1")
        self.decay = decay
        self.reset_epochs = redraw_epochs

    def start_training(self, x: Tensor) -> None:
        """Make room for the momentum, of the carried examples' shape."""
        super().start_training(x)
        self.momentum = torch.zeros_like(self.x_adv)

    def reset(self) -> None:
        """Start at a random corner of the budget, at rest."""
        super().reset()
        self.momentum.zero_()

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """LS(C(x_adv)) + 10 MSE(C(x_adv), C(start))."""
        start = self.carried(x, index)
        before, gradient = self.look(network, start, y)
        norm = gradient.abs().sum((-4, -3, -2, -1), keepdim=True)
        momentum = gradient / norm.clamp_min(torch.finfo(norm.dtype).tiny) + self.decay * self.kept(self.momentum, index)
        self.keep(self.momentum, momentum, index)
        self.carry(x, project(start + self.epsilon * momentum.sign(), x, self.epsilon), index)
        x_adv = project(start + self.epsilon * gradient.sign(), x, self.epsilon)
        return self.guided(network, x_adv, y, before)

    def state_dict(self) -> dict[str, Tensor]:
        """The carried examples and their momentum."""
        return {**super().state_dict(), "momentum": self.momentum}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take them back."""
        super().load_state_dict(state)
        self.momentum.copy_(state["momentum"])
