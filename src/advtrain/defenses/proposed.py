"""Proposed: single-step adversarial training whose examples are carried from epoch to epoch.

Section IV of Liu et al. 2019. Iter-Adv lets the attack finish before it trains. The two modifications:

1. Train on the intermediate results. Each epoch moves every example by a single step from where the epoch before left it
   (`self.x_adv`), so an attack of many iterations is spread over as many epochs at the price of one gradient an epoch.
2. Take a relatively large step, epsilon / 10, so that the examples are soon far enough to reveal the blind spots.

The classifier changes meanwhile; to catch up with it, the examples go back to the clean images every 20 epochs.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from advtrain.attacks.gradient import ascend
from advtrain.defenses.base import (
    AttackLabels,
    Defense,
    Outcome,
    attack_labels,
    check_labels,
    mixture,
    seed_rows,
)
from advtrain.system.device import no_place_twice
from advtrain.system.errors import InputError, check_at_least_one


class Proposed(Defense):
    """The paper's own defense (Section IV, Figure 3b)."""

    several_seeds = True

    def __init__(self, *, epsilon: float, step_divisor: float, reset_epochs: int, labels: AttackLabels) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("reset_epochs", reset_epochs)
        check_labels(labels)
        if not step_divisor > 0:
            raise InputError(f"step_divisor is {step_divisor!r}; it has to be above 0")
        self.step_size = epsilon / step_divisor
        self.reset_epochs = reset_epochs
        self.labels = labels

    def start_training(self, x: Tensor) -> None:
        """Carry an adversarial example for each training image; before the first step it is the image itself."""
        self.x = x
        self.x_adv = x.clone()

    def start_epoch(self, epoch: int) -> None:
        """Reset the examples to the clean images at the start of each cycle."""
        if epoch % self.reset_epochs == 0:
            self.x_adv.copy_(self.x)

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """(CE(clean) + CE(carried examples, one step further)) / 2."""
        carried, places = seed_rows(self.x_adv, index)
        x_adv = carried[places]
        attacked = attack_labels(network, x, y, self.labels)
        x_adv, _ = ascend(network, x_adv, x, attacked, epsilon=self.epsilon, step_size=self.step_size)
        with no_place_twice():
            carried[places] = x_adv
        return mixture(network, x, x_adv, y)

    def state_dict(self) -> dict[str, Tensor]:
        """The carried examples, [n, C, H, W]."""
        return {"x_adv": self.x_adv}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the carried examples back."""
        self.x_adv.copy_(state["x_adv"])
