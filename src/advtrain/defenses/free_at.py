"""Free-AT: each minibatch is trained on several times, and one gradient moves both the weights and the perturbation.

Shafahi et al. 2019, "Adversarial training for free!", Algorithm 1, and its authors' code. For each minibatch, m times:

    loss  = L(C(clip(x + delta, 0, 1)), y), whose one backward pass gives the gradients of weights and of delta; the weights
            take their step
    delta = clip(delta + epsilon sign(gradient of delta), -epsilon, epsilon)

So delta stays where the image is clipped: its gradient there is zero. Carried: delta for each place in the minibatch, whatever
image is there, from zero to the end of training without a reset. Price: m forward and m backward passes for m updates; m times
fewer epochs make as many updates as another defense.
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
        """CE(clip(x + delta)); its backward pass moves delta."""
        delta = self.delta.narrow(-4, 0, x.shape[-4])
        moved = x + delta
        x_adv = moved.clamp(0, 1)
        logits = network(watched(x_adv, partial(self.move, delta, moved == x_adv)))
        return Outcome(cross_entropy(logits, y).mean(-1), None, logits)

    def move(self, delta: Tensor, inside: Tensor, gradient: Tensor) -> None:
        """A step of epsilon along the sign of x_adv's gradient where nothing was clipped, in place; all [B, C, H, W]."""
        delta.copy_((delta + self.epsilon * (inside * gradient.sign())).clamp(-self.epsilon, self.epsilon))

    def state_dict(self) -> dict[str, Tensor]:
        """The perturbations, [B, C, H, W]."""
        return {"delta": self.delta}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the perturbations back."""
        self.delta.copy_(state["delta"])
