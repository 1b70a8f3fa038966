"""Free-AT: each minibatch is trained on several times, and one gradient moves both the weights and the perturbation.

Shafahi et al. 2019, "Adversarial training for free!", Algorithm 1. For each minibatch, m times:

    loss  = L(C(x + delta), y), whose one backward pass gives the gradients of weights and images; the weights take their step
    delta = clip(clip(delta + epsilon sign(gradient of the images), -epsilon, epsilon), -x, 1 - x)

Carried: delta for each place in the minibatch, whatever image is there, from zero to the end of training without a reset. So
the first replay may look outside [0, 1]. Price: m forward and m backward passes for m updates; m times fewer epochs make as
many updates as another defense.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from advtrain.attacks.gradient import cross_entropy
from advtrain.defenses.base import Defense, Outcome, watched
from advtrain.system.errors import check_at_least_one


class FreeAt(Defense):
    """Each minibatch `replays` times, the paper's m; 8 in its experiments."""

    several_seeds = True

    def __init__(self, *, epsilon: float, replays: int) -> None:
        super().__init__(epsilon=epsilon)
        check_at_least_one("replays", replays)
        self.replays = replays

    def start_training(self, x: Tensor) -> None:
        """The perturbations [B, C, H, W] start at zero."""
        self.delta = x.new_zeros(*x.shape[:-4], self.batch_size, *x.shape[-3:])

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(x + delta); its backward pass moves delta."""
        delta = self.delta.narrow(-4, 0, x.shape[-4])
        logits = network(watched(x + delta, partial(self.move, delta, x)))
        return Outcome(cross_entropy(logits, y).mean(-1), None, logits)

    def move(self, delta: Tensor, x: Tensor, gradient: Tensor) -> None:
        """A step of epsilon along the gradient's sign, in place; all [B, C, H, W]."""
        delta.copy_((delta + self.epsilon * gradient.sign()).clamp(-self.epsilon, self.epsilon).clamp(-x, 1 - x))

    def state_dict(self) -> dict[str, Tensor]:
        """The perturbations, [B, C, H, W]."""
        return {"delta": self.delta}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the perturbations back."""
        self.delta.copy_(state["delta"])
