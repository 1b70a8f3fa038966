"""ATDA: adversarial training with domain adaptation (Song et al. 2018), the single-step state of the art of its day.

FGSM examples and clean images are two domains. In addition to both cross-entropies, the loss pulls the logits of the two
together: their covariances (CORAL), their means (MMD), and each example to its class's centre (margin). All terms are as in
the official code (JHL-HUST/ATDA), which differs in places from the paper's text: L1 distances, covariances not divided by
B - 1, cross-entropies summed, not averaged.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import cross_entropy, fgsm
from advtrain.defenses.base import AttackLabels, Defense, Outcome, attack_labels, both_logits, check_labels

CENTRE_RATE = 0.1


class Atda(Defense):
    """Song et al. 2018, "Improving the generalization of adversarial training with domain adaptation", Section 3."""

    several_seeds = True

    def __init__(self, *, epsilon: float, labels: AttackLabels) -> None:
        super().__init__(epsilon=epsilon)
        check_labels(labels)
        self.labels = labels

    def start_training(self, x: Tensor) -> None:
        """The logits' class centres c [K, K] start at zero."""
        self.centres = torch.zeros(*x.shape[:-4], self.classes, self.classes, device=x.device)

    def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
        """CE(z) + CE(a) + (CORAL + MMD + margin) / 3, z and a the logits of the clean and the adversarial half."""
        x_adv = fgsm(network, x, attack_labels(network, x, y, self.labels), epsilon=self.epsilon)
        z, a = both_logits(network, x, x_adv)
        both, labels = torch.cat([z, a], dim=-2), torch.cat([y, y], dim=-1)
        adaptation = (coral(z, a) + mmd(z, a) + margin(both, labels, self.centres)) / 3
        self.centres.copy_(moved_centres(self.centres, both.detach(), labels))
        return Outcome(cross_entropy(z, y).mean(-1) + cross_entropy(a, y).mean(-1) + adaptation, z, a)

    def state_dict(self) -> dict[str, Tensor]:
        """The class centres, [K, K]."""
        return {"centres": self.centres}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the class centres back."""
        self.centres.copy_(state["centres"])


def coral(z: Tensor, a: Tensor) -> Tensor:
    """Mean absolute difference of the two halves' unnormalised covariances [K, K]; z and a are logits [B, K]."""
    return (_scatter_matrix(z) - _scatter_matrix(a)).abs().mean((-2, -1))


def mmd(z: Tensor, a: Tensor) -> Tensor:
    """Mean absolute difference of the two halves' mean logits [K]; z and a are logits [B, K]."""
    return (z.mean(dim=-2) - a.mean(dim=-2)).abs().mean(-1)


def margin(f: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Softplus of how much nearer (L1) a wrong class's centre is than the own one, averaged over examples and wrong classes.

    Args:
        f: logits of both halves, [2B, K].
        labels: their classes, [2B].
        centres: class centres, [K, K]; they get no gradient.
    """
    distances = (f.unsqueeze(-2) - centres.unsqueeze(-3)).abs().sum(dim=-1)
    members = _memberships(labels, centres)
    own, wrong = (distances * members).sum(dim=-1, keepdim=True), 1 - members
    return (F.softplus(own - distances) * wrong).sum((-2, -1)) / wrong.sum((-2, -1))


def moved_centres(centres: Tensor, f: Tensor, labels: Tensor) -> Tensor:
    """The centres [K, K] after a minibatch: c_j - 0.1 * sum over its members i of (c_j - f_i) / (1 + n_j)."""
    members = _memberships(labels, centres).to(f.dtype)
    count = members.sum(dim=-2).unsqueeze(-1)
    return centres - CENTRE_RATE * (count * centres - members.mT @ f) / (1 + count)


def _memberships(labels: Tensor, centres: Tensor) -> Tensor:
    """1 where an example is of the class, else 0, [..., 2B, K] for K centres."""
    return (labels.unsqueeze(-1) == torch.arange(centres.shape[-1], device=labels.device)).int()


def _scatter_matrix(f: Tensor) -> Tensor:
    centred = f - f.mean(dim=-2, keepdim=True)
    return centred.mT @ centred
