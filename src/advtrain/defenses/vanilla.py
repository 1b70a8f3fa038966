"""Vanilla: training on the original examples only, no defense."""

from torch import Tensor, nn

from advtrain.attacks.gradient import cross_entropy
from advtrain.defenses.base import Defense, Outcome


class Vanilla(Defense):
    """Cross-entropy of the clean images (Liu et al. 2019, Section II)."""

    several_seeds = True

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(clean)."""
        logits = network(x)
        return Outcome(cross_entropy(logits, y).mean(-1), logits, None)
