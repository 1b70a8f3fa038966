"""BIM(N)-Adv: training on a mixture of clean images and their BIM examples of N iterations, epsilon / N each."""

from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from advtrain.defenses.base import (
    AttackLabels,
    Defense,
    Outcome,
    attack_labels,
    check_labels,
    mixture,
)
from advtrain.system.errors import check_at_least_one


class BimAdv(Defense):
    """Iter-Adv of Kurakin et al. 2017; Liu et al. 2019, Section II, with N = 10 and N = 30."""

    several_seeds = True

    def __init__(self, *, epsilon: float, iterations: int, labels: AttackLabels) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("iterations", iterations)
        check_labels(labels)
        self.iterations = iterations
        self.labels = labels

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """(CE(clean) + CE(BIM(N))) / 2."""
        x_adv = bim(
            network,
            x,
            attack_labels(network, x, y, self.labels),
            epsilon=self.epsilon,
            step_size=self.epsilon / self.iterations,
            iterations=self.iterations,
        )
        return mixture(network, x, x_adv, y)
