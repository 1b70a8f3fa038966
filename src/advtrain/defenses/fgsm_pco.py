"""FGSM-PCO: training between the carried example and the new one, the nearer to the first the less sure the network is there.

Wang et al. 2024, "Preventing catastrophic overfitting in fast adversarial training: a bi-level optimization perspective", as
their code has it:

    start = x + epsilon sign(U(-1, 1)), before the first epoch; not clipped to [0, 1]
    x_adv = P(start + epsilon sign(gradient of LS(C(start), y)))
    c     = 1 - the probability of y at start, with its gradient
    fused = c start + (1 - c) (x + 1.5 (x_adv - x)), not clipped
    loss  = LS(C(fused), y) + 10 |MSE(C(x_adv), C(start)) - MSE(C(x_adv), C(fused))|
    start = x_adv, for the next epoch

LS and MSE as in FGSM-EP. Carried: start of each image, without a reset. Price: 3 forward and 4 backward passes.
"""

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import cross_entropy, project
from advtrain.defenses.base import Outcome, smoothed_cross_entropy
from advtrain.defenses.fgsm_ep import FgsmEp, mse


class FgsmPco(FgsmEp):
    """Carried and started as in FGSM-EP; `regulariser` weighs the difference of the logits' two changes."""

    several_seeds = True

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """LS(C(fused)) + 10 |MSE(C(x_adv), C(start)) - MSE(C(x_adv), C(fused))|."""
        start = self.carried(x, index)
        before, gradient = self.look(network, start, y)
        x_adv = project(start + self.epsilon * gradient.sign(), x, self.epsilon)
        self.carry(x, x_adv, index)
        c = 1 - torch.exp(-cross_entropy(before, y))[..., None, None, None]
        fused, after = network(c * start + (1 - c) * (x + 1.5 * (x_adv - x))), network(x_adv)
        loss = smoothed_cross_entropy(fused, y, self.label_smoothing).mean(-1)
        return Outcome(loss + self.regulariser * (mse(after, before) - mse(after, fused)).abs(), None, fused)
