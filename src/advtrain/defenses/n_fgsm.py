"""N-FGSM: training on FGSM from a start with much noise, and without projection onto the budget.

De Jorge Aranda et al. 2022, "Make some noise: reliable and efficient single-step adversarial training", Algorithm 1:

    start = clip(x + U(-2 epsilon, 2 epsilon), 0, 1)
    loss  = L(C(clip(start + epsilon sign(gradient of L(C(start), y)), 0, 1)), y)

An example may be 3 epsilon from its image. Nothing is carried. Price: 2 forward and 2 backward passes, 3 each in the mixture.
"""

from torch import Tensor, nn

from advtrain.attacks.gradient import AttackMode, ascend
from advtrain.defenses.base import Defense, Outcome, TrainedOn, check_attack_mode, check_trained_on, trained
from advtrain.system.errors import check_not_negative


class NFgsm(Defense):
    """FGSM from noise of `noise_factor` * epsilon; 2 in the paper."""

    several_seeds = True

    def __init__(self, *, epsilon: float, noise_factor: float, trained_on: TrainedOn, attack_mode: AttackMode) -> None:
        super().__init__(epsilon=epsilon)
        check_not_negative("noise_factor", noise_factor)
        check_trained_on(trained_on)
        check_attack_mode(attack_mode)
        self.radius = noise_factor * epsilon
        self.trained_on = trained_on
        self.attack_mode = attack_mode

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(FGSM from a noisy start)."""
        start = (x + self.noise(x, self.radius)).clamp(0, 1)
        farthest = self.radius + self.epsilon  # so that the step is projected onto [0, 1] alone
        x_adv, _ = ascend(network, start, x, y, epsilon=farthest, step_size=self.epsilon, mode=self.attack_mode)
        return trained(network, x, x_adv, y, self.trained_on)
