"""ATTA-1: adversarial examples that are carried from epoch to epoch and move by one small step in each.

Zheng et al. 2020, "Efficient adversarial training with transferable adversarial examples", as their MNIST code has it:

    x_adv = x + 0.001 N(0, 1), before the first epoch
    x_adv = P(x_adv + epsilon / 30 sign(gradient of L(C(x_adv), y))), in each epoch
    loss  = L(C(x_adv), y)

P projects onto the budget and [0, 1]. Carried: x_adv of each image. Their code for MNIST never resets it; that for CIFAR-10
does every 10 epochs, and crops from a grey border where ours is black. With steps of epsilon / 10, a reset every 20, no noise
and the mixture it is Proposed. Price: 2 forward and 2 backward passes, 3 each in the mixture.
"""

from torch import Tensor, nn

from advtrain.attacks.gradient import ascend
from advtrain.defenses.base import Carrying, Outcome, TrainedOn, check_trained_on, trained
from advtrain.system.errors import check_above_zero, check_not_negative


class Atta(Carrying):
    """Steps of epsilon / `step_divisor`; starts with `start_noise` N(0, 1), again after `reset_epochs`."""

    several_seeds = True

    def __init__(
        self, *, epsilon: float, step_divisor: float, reset_epochs: int, start_noise: float, trained_on: TrainedOn
    ) -> None:
        super().__init__(epsilon=epsilon, reset_epochs=reset_epochs)
        check_above_zero("step_divisor", step_divisor)
        check_not_negative("start_noise", start_noise)
        check_trained_on(trained_on)
        self.step_size = epsilon / step_divisor
        self.start_noise = start_noise
        self.trained_on = trained_on

    def reset(self) -> None:
        """Start at the clean images, with a little noise."""
        self.x_adv.copy_(self.x + self.start_noise * self.random.normal(self.x))

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(carried examples, one step further)."""
        x_adv, _ = ascend(network, self.carried(x, index), x, y, epsilon=self.epsilon, step_size=self.step_size)
        self.carry(x, x_adv, index)
        return trained(network, x, x_adv, y, self.trained_on)
