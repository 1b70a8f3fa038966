"""White-box l-infinity attacks on images in [0, 1]: FGSM and BIM, as pure functions.

An attack is three small functions: `input_gradient` looks at the model, `project` keeps the iterate in the budget, and
`ascend` does one after the other. The Proposed defense calls `ascend` once an epoch; BIM in training, the sweep over iteration
counts and the trace of one attack repeat it through `bim_steps`. So there is one implementation to trust.

The model is seen in evaluation mode, the gradient is taken with respect to the images only, and nothing stays behind: not in
the parameters' `.grad`, not in the modules' flags, not in any random state.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.errors import InputError, check_at_least_one


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` in evaluation mode, and give each its own flag back at the end."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def input_gradient(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the cross-entropy with respect to the images, and the logits of the same forward pass.

    The loss is summed over the batch, so that an image's gradient does not depend on the images beside it.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x: images, [B, C, H, W].
        y: labels, [B], int64.

    Returns:
        The gradient [B, C, H, W] and the logits [B, K], both detached.
    """
    x = x.detach().requires_grad_()
    with evaluation_mode(model), torch.enable_grad():
        logits = model(x)
        loss = F.cross_entropy(logits, y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
    return gradient, logits.detach()


def project(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Project onto the l-infinity ball of radius `epsilon` around `x` and onto the image box [0, 1]; all [B, C, H, W]."""
    return x_adv.clamp((x - epsilon).clamp(min=0.0), (x + epsilon).clamp(max=1.0))


def ascend(model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor, *, epsilon: float, step_size: float) -> tuple[Tensor, Tensor]:
    """One step of sign-gradient ascent from `x_adv`, projected onto the budget around `x`.

    Source: Liu et al. 2019, Section II, the equation of delta_i and x_i.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x_adv: where the step starts, [B, C, H, W] in [0, 1].
        x: clean images, the centre of the budget, [B, C, H, W] in [0, 1].
        y: labels, [B], int64.
        epsilon: radius of the budget, in the images' units.
        step_size: length of the step per pixel, in the images' units.

    Returns:
        The next iterate [B, C, H, W], and the logits [B, K] of `x_adv`, where the step started.
    """
    gradient, logits = input_gradient(model, x_adv, y)
    return project(x_adv + step_size * gradient.sign(), x, epsilon), logits


def bim_steps(
    model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, iterations: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps of the Basic Iterative Method from the clean images: x_0 = x, then `iterations` times `ascend`.

    Step i (from 1) yields the iterate x_i and the logits of x_(i-1), which its gradient needed anyway.

    Source: Kurakin et al. 2016; Liu et al. 2019, Section II.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x: clean images, [B, C, H, W] in [0, 1].
        y: labels, [B], int64.
        epsilon: radius of the budget, in the images' units.
        step_size: length of a step per pixel, in the images' units.
        iterations: number of steps.

    Raises:
        InputError: `epsilon` or `step_size` is not above 0, or `iterations` is below 1.
    """
    _check_budget(epsilon, step_size, iterations)
    x_adv = x
    for _ in range(iterations):
        x_adv, logits = ascend(model, x_adv, x, y, epsilon=epsilon, step_size=step_size)
        yield x_adv, logits


def bim(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, iterations: int) -> Tensor:
    """Adversarial examples [B, C, H, W] of the Basic Iterative Method: the last iterate of `bim_steps`."""
    x_adv = x
    for x_adv, _ in bim_steps(model, x, y, epsilon=epsilon, step_size=step_size, iterations=iterations):  # noqa: B007
        pass
    return x_adv


def fgsm(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float) -> Tensor:
    """Adversarial examples [B, C, H, W] of the Fast Gradient Sign Method: one step of `epsilon` (Goodfellow et al. 2015)."""
    return bim(model, x, y, epsilon=epsilon, step_size=epsilon, iterations=1)


def check_epsilon(epsilon: float) -> None:
    """Raise InputError unless `epsilon` lies in (0, 1], the images' units."""
    if not 0 < epsilon <= 1:
        raise InputError(f"epsilon is {epsilon}; it has to lie in (0, 1], the images' units")


def _check_budget(epsilon: float, step_size: float, iterations: int) -> None:
    check_epsilon(epsilon)
    if not step_size > 0:
        raise InputError(f"step_size is {step_size}; it has to be above 0")
    check_at_least_one("iterations", iterations)
