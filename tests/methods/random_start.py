"""FGSM from a random start: a defense that draws random numbers."""

from torch import Tensor, nn

from advtrain.attacks.gradient import ascend, project
from advtrain.defenses.base import Defense, Outcome, mixture


class RandomStart(Defense):
    several_seeds = True

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        start = project(x + self.epsilon * self.noise(x), x, self.epsilon)
        x_adv, _ = ascend(network, start, x, y, epsilon=self.epsilon, step_size=self.epsilon)
        return mixture(network, x, x_adv, y)

    def noise(self, x: Tensor) -> Tensor:
        return 2 * self.random.uniform(x) - 1
