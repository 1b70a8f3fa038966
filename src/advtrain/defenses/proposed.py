"""Proposed: single-step adversarial training whose examples are carried from epoch to epoch.

Section IV of Liu et al. 2019. Iter-Adv lets the attack finish before it trains. The two modifications:

1. Train on the intermediate results. Each epoch moves every example by a single step from where the epoch before left it
   (`self.x_adv`), so an attack of many iterations is spread over as many epochs at the price of one gradient an epoch.
2. Take a relatively large step, epsilon / 10, so that the examples are soon far enough to reveal the blind spots.

The classifier changes meanwhile; to catch up with it, the examples go back to the clean images every 20 epochs.
"""

from torch import Tensor, nn

from advtrain.attacks.gradient import ascend
from advtrain.defenses.base import (
    AttackLabels,
    Carrying,
    Outcome,
    attack_labels,
    check_labels,
    mixture,
)
from advtrain.system.errors import check_above_zero


class Proposed(Carrying):
    """The paper's own defense (Section IV, Figure 3b)."""

    several_seeds = True

    def __init__(self, *, epsilon: float, step_divisor: float, reset_epochs: int, labels: AttackLabels) -> None:
        super().__init__(epsilon=epsilon, reset_epochs=reset_epochs)
        check_above_zero("step_divisor", step_divisor)
        check_labels(labels)
        self.step_size = epsilon / step_divisor
        self.labels = labels

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """(CE(clean) + CE(carried examples, one step further)) / 2."""
        attacked = attack_labels(network, x, y, self.labels)
        x_adv, _ = ascend(network, self.carried(x, index), x, attacked, epsilon=self.epsilon, step_size=self.step_size)
        self.carry(x, x_adv, index)
        return mixture(network, x, x_adv, y)
