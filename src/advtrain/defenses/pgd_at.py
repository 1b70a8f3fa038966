"""PGD-AT: training on PGD examples, the price and the strength that the single-step methods are measured by.

Madry et al. 2017, "Towards deep learning models resistant to adversarial attacks", Section 3, as Wong, Rice and Kolter 2020
have it for MNIST:

    x_0 = clip(x + U(-epsilon, epsilon), 0, 1)
    x_i = P(x_(i-1) + step sign(gradient of L(C(x_(i-1)), y))) where C(x_(i-1)) is right, else x_(i-1)
    loss = L(C(x_N), y)

P projects onto the budget and [0, 1]. Were images moved that are wrong already, training at epsilon 0.3 would sometimes never
start. Nothing is carried. Price: N + 1 forward and backward passes, N + 2 in the mixture.
"""

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import ascend
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_trained_on, trained
from advtrain.fast.choice import frozen
from advtrain.system.errors import check_above_zero, check_at_least_one


class PgdAt(Defense):
    """N = `iterations` steps of epsilon / `step_divisor`."""

    several_seeds = True

    def __init__(self, *, epsilon: float, iterations: int, step_divisor: float, trained_on: TrainedOn) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("iterations", iterations)
        check_above_zero("step_divisor", step_divisor)
        check_trained_on(trained_on)
        self.iterations = iterations
        self.step_size = epsilon / step_divisor
        self.trained_on = trained_on

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(PGD)."""
        model = frozen(network)
        x_adv = (x + self.noise(x, self.epsilon)).clamp(0, 1)
        for _ in range(self.iterations):
            moved, logits = ascend(model, x_adv, x, y, epsilon=self.epsilon, step_size=self.step_size)
            right = logits.argmax(dim=-1) == y
            x_adv = torch.where(right[..., None, None, None], moved, x_adv)
        return trained(network, x, x_adv, y, self.trained_on)
