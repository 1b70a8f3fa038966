"""GradAlign: FGSM training with a penalty where the loss's gradient turns within the budget.

Andriushchenko and Flammarion 2020, "Understanding and improving fast adversarial training", as their code has it:

    g     = gradient of L(C(x), y), a constant
    h     = gradient of L(C(x + U(-epsilon, epsilon)), y), which is differentiated
    loss  = L(C(P(x + epsilon sign(g))), y) + lambda (1 - cos(g, h))

P projects onto the budget and [0, 1]; the cosine is each image's, then averaged; both gradients are of the network in training
mode. Nothing is carried. Price: 3 forward and 4 backward passes, one more each in the mixture, and about one more for the
derivative of h, which the count of passes does not see.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import cross_entropy, input_gradient, project
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_trained_on, trained
from advtrain.fast.choice import frozen, twice_differentiable
from advtrain.system.errors import check_not_negative

SMALLEST = 1e-18
"""Norm below which a gradient counts as shorter: its square would be lost in float32."""


class GradAlign(Defense):
    """FGSM; `alignment` is the paper's lambda."""

    several_seeds = True

    def __init__(self, *, epsilon: float, alignment: float, trained_on: TrainedOn) -> None:
        super().__init__(epsilon=epsilon)
        check_not_negative("alignment", alignment)
        check_trained_on(trained_on)
        self.alignment = alignment
        self.trained_on = trained_on

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(FGSM) + lambda (1 - cos(g, h))."""
        g, _ = input_gradient(frozen(network), x, y, mode="training")
        near = (x + self.noise(x, self.epsilon)).requires_grad_()
        loss = cross_entropy(twice_differentiable(network)(near), y).sum()
        (h,) = torch.autograd.grad(loss, near, create_graph=True)
        cosine = F.cosine_similarity(g.flatten(-3), h.flatten(-3), dim=-1, eps=SMALLEST)
        x_adv = project(x + self.epsilon * g.sign(), x, self.epsilon)
        of_fgsm = trained(network, x, x_adv, y, self.trained_on)
        return of_fgsm._replace(loss=of_fgsm.loss + self.alignment * (1 - cosine).mean(-1))
