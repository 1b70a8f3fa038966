"""Fast-AT (RS-FGSM): training on one FGSM step from a random start.

Wong, Rice and Kolter 2020, "Fast is better than free: revisiting adversarial training", Algorithm 3, as their code for
MNIST has it:

    delta = U(-epsilon, epsilon)
    delta = clip(delta + 1.25 epsilon sign(gradient of L(C(x + delta), y)), -epsilon, epsilon)
    loss  = L(C(clip(x + delta, 0, 1)), y)

The start is not clipped to [0, 1]; their code for CIFAR-10 clips it. Nothing is carried. Price: 2 forward and 2 backward
passes, 3 each in the mixture.
"""

from torch import Tensor, nn

from advtrain.attacks.gradient import AttackMode, ascend
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_attack_mode, check_trained_on, trained
from advtrain.system.errors import check_above_zero


class FastAt(Defense):
    """FGSM of `step_factor` * epsilon from a random start; 1.25 in the paper."""

    several_seeds = True

    def __init__(self, *, epsilon: float, step_factor: float, trained_on: TrainedOn, attack_mode: AttackMode) -> None:
        super().__init__(epsilon=epsilon)
        check_above_zero("step_factor", step_factor)
        check_trained_on(trained_on)
        check_attack_mode(attack_mode)
        self.step_size = step_factor * epsilon
        self.trained_on = trained_on
        self.attack_mode = attack_mode

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(FGSM from a random start)."""
        start = x + self.noise(x, self.epsilon)
        x_adv, _ = ascend(network, start, x, y, epsilon=self.epsilon, step_size=self.step_size, mode=self.attack_mode)
        return trained(network, x, x_adv, y, self.trained_on)
