"""FGSM-EP: FGSM from the perturbation that the epoch before has left, kept close to what the network said there.

Jia et al. 2022, "Prior-guided adversarial initialization for fast adversarial training"; the official code has FGSM-MEP alone,
which is this with momentum:

    start = x + epsilon sign(U(-1, 1)), before the first epoch; not clipped to [0, 1]
    x_adv = P(start + epsilon sign(gradient of LS(C(start), y)))
    loss  = LS(C(x_adv), y) + 10 MSE(C(x_adv), C(start)), with gradients through both
    start = x_adv, for the next epoch

LS is the cross-entropy with smoothed labels, 0.6 on the true class; MSE is of logits. Carried: start of each image, without a
reset. Price: 2 forward and 3 backward passes, since C(start) is differentiated for the step and again for the update.
"""

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import project
from advtrain.defenses.base import Carrying, Outcome, smoothed_cross_entropy
from advtrain.system.errors import InputError, check_not_negative


class FgsmEp(Carrying):
    """Labels give up `label_smoothing` to the other classes; `regulariser` weighs the change of the logits."""

    several_seeds = True

    def __init__(self, *, epsilon: float, label_smoothing: float, regulariser: float) -> None:
        super().__init__(epsilon=epsilon, reset_epochs=None)
        check_not_negative("regulariser", regulariser)
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing is {label_smoothing}; it has to be at least 0 and below 1")
        self.label_smoothing = label_smoothing
        self.regulariser = regulariser

    def reset(self) -> None:
        """Start at a random corner of the budget."""
        self.x_adv.copy_(self.x + self.epsilon * self.noise(self.x, 1).sign())

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """LS(C(x_adv)) + 10 MSE(C(x_adv), C(start))."""
        start = self.carried(x, index)
        before, gradient = self.look(network, start, y)
        x_adv = project(start + self.epsilon * gradient.sign(), x, self.epsilon)
        self.carry(x, x_adv, index)
        return self.guided(network, x_adv, y, before)

    def look(self, network: nn.Module, start: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, K] at the start, with their graph if they are compared, and the gradient of their loss [B, C, H, W]."""
        start = start.detach().requires_grad_()
        logits = network(start)
        loss = smoothed_cross_entropy(logits, y, self.label_smoothing).sum()
        (gradient,) = torch.autograd.grad(loss, start, retain_graph=self.regulariser > 0)
        return logits, gradient

    def guided(self, network: nn.Module, x_adv: Tensor, y: Tensor, before: Tensor) -> Outcome:
        """The loss of x_adv, whose logits should not be far from those `before` the step, [B, K]."""
        logits = network(x_adv)
        loss = smoothed_cross_entropy(logits, y, self.label_smoothing).mean(-1)
        if self.regulariser > 0:
            loss = loss + self.regulariser * mse(logits, before)
        return Outcome(loss, None, logits)


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of logits [B, K]."""
    return (a - b).square().mean((-2, -1))
