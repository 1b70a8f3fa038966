"""TRADES: clean images are classified rightly, and their neighbours like them.

Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy", Algorithm 1, as their code for
MNIST has it:

    x_0 = x + 0.001 N(0, 1)
    x_i = P(x_(i-1) + step sign(gradient of KL(p(x) || p(x_(i-1)))))
    loss = L(C(x), y) + beta KL(p(x) || p(x_N)), with gradients through both

p are the softmax probabilities, for the steps in evaluation mode; P projects onto the budget and [0, 1]; beta is 1 on MNIST.
Nothing is carried. Price: N + 2 forward and backward passes, and a forward pass more where batch norm makes p(x) another in
evaluation mode; their code, which computes p(x) again in each step, needs N forward passes more.
"""

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import ascend, cross_entropy
from advtrain.defenses.base import Defense, Outcome
from advtrain.fast.choice import frozen
from advtrain.networks.plain import depends_on_mode, predict
from advtrain.system.errors import check_above_zero, check_at_least_one, check_not_negative

START_NOISE = 0.001


class Trades(Defense):
    """N = `iterations` steps of epsilon / `step_divisor`; `beta` is 1 / lambda of the paper."""

    several_seeds = True

    def __init__(self, *, epsilon: float, iterations: int, step_divisor: float, beta: float) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("iterations", iterations)
        check_above_zero("step_divisor", step_divisor)
        check_not_negative("beta", beta)
        self.iterations = iterations
        self.step_size = epsilon / step_divisor
        self.beta = beta

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(clean) + beta KL(p(clean) || p(x_adv))."""
        clean = network(x)
        held, model = (predict(network, x) if depends_on_mode(network) else clean.detach()), frozen(network)
        x_adv = x + START_NOISE * self.random.normal(x)
        for _ in range(self.iterations):
            x_adv, _ = ascend(
                model,
                x_adv,
                x,
                y,
                epsilon=self.epsilon,
                step_size=self.step_size,
                loss=lambda logits, _: divergence(held, logits),
            )
        adversarial = network(x_adv)
        loss = cross_entropy(clean, y) + self.beta * divergence(clean, adversarial)
        return Outcome(loss.mean(-1), clean, adversarial)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(softmax(p) || softmax(q)), [B], of logits [B, K]."""
    log_p, log_q = torch.log_softmax(p, dim=-1), torch.log_softmax(q, dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)
