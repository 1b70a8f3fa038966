"""Vanilla: training on the original examples only, no defense."""

from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.defenses import Defense, Outcome


class Vanilla(Defense):
    """Cross-entropy of the clean images (Liu et al. 2019, Section II)."""

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(clean)."""
        logits = network(x)
        return Outcome(F.cross_entropy(logits, y), logits, None)
