"""FGSM-Adv: training on a mixture of clean images and their FGSM examples."""

from torch import Tensor, nn

from advtrain.attacks.gradient import fgsm
from advtrain.defenses.base import AttackLabels, Defense, Outcome, attack_labels, check_labels, mixture


class FgsmAdv(Defense):
    """Single-Adv of Goodfellow et al. 2015; Liu et al. 2019, Section II."""

    several_seeds = True

    def __init__(self, *, epsilon: float, labels: AttackLabels) -> None:
        super().__init__(epsilon=epsilon)
        check_labels(labels)
        self.labels = labels

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """(CE(clean) + CE(FGSM)) / 2."""
        x_adv = fgsm(network, x, attack_labels(network, x, y, self.labels), epsilon=self.epsilon)
        return mixture(network, x, x_adv, y)
