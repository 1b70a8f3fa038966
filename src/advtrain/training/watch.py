"""What is watched after each epoch: accuracy under three attacks, and whether a single step still says where to go."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import ascend, exact_cross_entropy, fgsm, input_gradient, project
from advtrain.attacks.pgd import falling_steps
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import correct_after, correct_after_bim, share
from advtrain.fast.choice import frozen
from advtrain.networks.ensemble import per_seed


@dataclass(frozen=True)
class Watched:
    """Of one network after an epoch, on the watched images; accuracies are shares in [0, 1]."""

    robust_accuracy: float
    """Under BIM(N), epsilon / N a step."""
    fgsm_accuracy: float
    """Under FGSM."""
    pgd_accuracy: float
    """Under PGD of N steps from one random start."""
    alignment: float
    """Mean cosine of the loss's gradients at an image and at its FGSM example."""


def watch(network: nn.Module, data: Examples, seeds: int, *, epsilon: float, iterations: int) -> Iterator[Watched]:
    """What is watched of each of the networks that are trained at once.

    Catastrophic overfitting (Wong et al. 2020) shows as a high accuracy under FGSM beside a low one under PGD. The cosine falls
    where the loss has bent so far that the gradient of a single step is no guide. That of Andriushchenko and Flammarion 2020,
    Section 4, is at a random point of the ball, which is nearer: it is higher.

    Args:
        network: one network, or an `Ensemble` of `seeds` of them.
        data: the watched images, which go through the network at once.
        seeds: number of networks.
        epsilon: radius of the budget.
        iterations: N of BIM and PGD.
    """
    n = len(data)
    pgd = partial(last_of_pgd, network, epsilon=epsilon, iterations=iterations)
    right = {
        "robust_accuracy": correct_after_bim(network, data, epsilon=epsilon, iterations=iterations, batch_size=n),
        "fgsm_accuracy": correct_after(network, data, partial(fgsm, network, epsilon=epsilon), n),
        "pgd_accuracy": correct_after(network, data, pgd, n),
    }
    aligned = alignment(network, per_seed(network, data.x), per_seed(network, data.y), epsilon=epsilon).view(seeds, n).cpu()
    for seed in range(seeds):
        accuracies = {name: share(flags.view(seeds, n)[seed]) for name, flags in right.items()}
        yield Watched(**accuracies, alignment=aligned[seed].double().nanmean().item())


def last_of_pgd(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """The last iterate [..., B, C, H, W] of PGD from a random start, which is the same at each call and for each network."""
    noise = torch.rand(x.shape[-4:], generator=torch.Generator().manual_seed(0)).to(x)
    model, x_adv = frozen(model), project(x + epsilon * (2 * noise - 1), x, epsilon)
    for size in falling_steps(2 * epsilon, iterations):
        x_adv, _ = ascend(model, x_adv, x, y, epsilon=epsilon, step_size=size)
    return x_adv


def alignment(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
    """Cosine of the cross-entropy's gradients at each image and after a step of epsilon along the sign of the first, [..., B].

    By the exact gradient, whose direction is right where the network is sure. NaN where a gradient vanishes.
    """
    model = frozen(model)
    before, _ = input_gradient(model, x, y, exact_cross_entropy)
    after, _ = input_gradient(model, project(x + epsilon * before.sign(), x, epsilon), y, exact_cross_entropy)
    # Scaled first, or squares of tiny gradients would be zero.
    a, b = ((g / g.abs().amax((-3, -2, -1), keepdim=True)).flatten(-3) for g in (before, after))
    return torch.nn.functional.cosine_similarity(a, b, dim=-1)
