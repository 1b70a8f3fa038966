"""PGD-AT: training on PGD examples, the price and the strength that the single-step methods are measured by.

Madry et al. 2017, "Towards deep learning models resistant to adversarial attacks", Section 3:

    x_0 = clip(x + U(-epsilon, epsilon), 0, 1)
    x_i = P(x_(i-1) + step sign(gradient of L(C(x_(i-1)), y)))
    loss = L(C(x_N), y)

P projects onto the budget and [0, 1]. With `stop_at_error` an image that is wrong already is left where it is, as Wong, Rice
and Kolter 2020 have it for MNIST: at epsilon 0.3 training would sometimes never start otherwise. On CIFAR-10 Rice, Wong and
Kolter 2020, "Overfitting in adversarially robust deep learning", move all images, and attack the network in training mode.

Nothing is carried. Price: N + 1 forward and backward passes, N + 2 in the mixture.
"""

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import AttackMode, ascend
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_attack_mode, check_trained_on, trained
from advtrain.fast.choice import frozen
from advtrain.system.errors import check_above_zero, check_at_least_one


class PgdAt(Defense):
    """N = `iterations` steps of epsilon / `step_divisor`."""

    several_seeds = True

    def __init__(
        self,
        *,
        epsilon: float,
        iterations: int,
        step_divisor: float,
        stop_at_error: bool,
        trained_on: TrainedOn,
        attack_mode: AttackMode,
    ) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("iterations", iterations)
        check_above_zero("step_divisor", step_divisor)
        check_trained_on(trained_on)
        check_attack_mode(attack_mode)
        self.iterations = iterations
        self.step_size = epsilon / step_divisor
        self.stop_at_error = stop_at_error
        self.trained_on = trained_on
        self.attack_mode = attack_mode

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(PGD)."""
        model = frozen(network)
        x_adv = (x + self.noise(x, self.epsilon)).clamp(0, 1)
        for _ in range(self.iterations):
            moved, logits = ascend(model, x_adv, x, y, epsilon=self.epsilon, step_size=self.step_size, mode=self.attack_mode)
            if self.stop_at_error:
                right = logits.argmax(dim=-1) == y
                moved = torch.where(right[..., None, None, None], moved, x_adv)
            x_adv = moved
        return trained(network, x, x_adv, y, self.trained_on)
