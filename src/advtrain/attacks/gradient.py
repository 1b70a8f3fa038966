"""White-box l-infinity attacks on images in [0, 1]: FGSM, BIM and PGD, as pure functions.

An attack is three small functions: `input_gradient` looks at the model, `project` keeps the iterate in the budget, and
`ascend` does one after the other. The Proposed defense calls `ascend` once an epoch; BIM in training, the sweep over iteration
counts and the trace of one attack repeat it through `bim_steps`; PGD repeats it from random starts. So there is one
implementation to check.

The model is seen in evaluation mode, the gradient is taken with respect to the images only, and nothing stays behind: not in
the parameters' `.grad`, not in the modules' flags, not in any random state. Some methods attack in training mode, in which
batch norm sees the minibatch and its averages move.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.fast.choice import frozen
from advtrain.fast.form import Climber
from advtrain.networks.plain import evaluation_mode
from advtrain.system.errors import InputError, check_above_zero, check_at_least_one

Loss = Callable[[Tensor, Tensor], Tensor]
AttackMode = Literal["evaluation", "training"]

TOLERANCE = 1e-6
"""What rounding may add to epsilon: float32(0.3) is above 0.3."""


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy [..., B] of the logits [..., B, K] and the labels [..., B]: the paper's loss.

    Its gradient is the softmax less one for the label. Where the model is sure, that one cancels nearly all of the label's
    probability, and what is left is rounding: `exact_cross_entropy` does not lose it.
    """
    return F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view_as(y)


def exact_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The same value as `cross_entropy`, with a gradient that rounding does not spoil where the model is sure.

    It is log(1 + the sum over the other classes j of exp(z_j - z_label)), so the label's logit gets minus the sum of what the
    others get, and nothing cancels. In float32 the gradient vanishes only with a label 87 or more above all others.
    """
    label = F.one_hot(y, logits.shape[-1]).bool()
    others = logits.masked_fill(label, -torch.inf).logsumexp(dim=-1)
    return -F.logsigmoid(logits.gather(-1, y.unsqueeze(-1)).squeeze(-1) - others)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The highest other logit less the label's, [B]: above 0 where the model is wrong, 0 at a tie (Carlini and Wagner 2017).

    Unlike the cross-entropy it does not go flat where the model is very sure.
    """
    label = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(label, -torch.inf).amax(dim=1) - logits[label]


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "margin": margin}
"""What PGD ascends, by name."""


def input_gradient(
    model: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy, *, mode: AttackMode = "evaluation"
) -> tuple[Tensor, Tensor]:
    """Gradient of the loss with respect to the images, and the logits of the same forward pass.

    The loss is summed over the batch, so that an image's gradient does not depend on the other images.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x: images, [B, C, H, W].
        y: labels, [B], int64.
        loss: maps logits [B, K] and labels [B] to a loss for each image, [B].
        mode: evaluation, or training for a model that is in training.

    Returns:
        The gradient [B, C, H, W] and the logits [B, K], both detached.
    """
    x = x.detach().requires_grad_()
    with evaluation_mode(model) if mode == "evaluation" else nullcontext(), torch.enable_grad():
        logits = model(x)
        (gradient,) = torch.autograd.grad(loss(logits, y).sum(), x)
    return gradient, logits.detach()


def project(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Project onto the l-infinity ball of radius `epsilon` around `x` and onto the image box [0, 1]; all [B, C, H, W]."""
    return x_adv.clamp(x - epsilon, x + epsilon).clamp_(0.0, 1.0)


def within_budget(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Whether each image of x_adv [n, C, H, W] lies in [0, 1] and within `epsilon` of x, except for rounding; bool, [n]."""
    inside = (x_adv >= 0) & (x_adv <= 1) & ((x_adv - x).abs() <= epsilon + TOLERANCE)
    return inside.flatten(1).all(dim=1)


def ascend(
    model: nn.Module,
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    step_size: float,
    loss: Loss = cross_entropy,
    mode: AttackMode = "evaluation",
) -> tuple[Tensor, Tensor]:
    """One step of sign-gradient ascent from `x_adv`, projected onto the budget around `x`.

    Source: Liu et al. 2019, Section II, the equation of delta_i and x_i.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x_adv: where the step starts, [B, C, H, W] in [0, 1].
        x: clean images, the centre of the budget, [B, C, H, W] in [0, 1].
        y: labels, [B], int64.
        epsilon: radius of the budget, in the images' units.
        step_size: length of the step per pixel, in the images' units.
        loss: what the step ascends, as in `input_gradient`.
        mode: of the model, as in `input_gradient`.

    Returns:
        The next iterate [B, C, H, W], and the logits [B, K] of `x_adv`, where the step started.
    """
    model = frozen(model)
    if isinstance(model, Climber) and loss is cross_entropy:
        return model.ascend(x_adv, x, y, epsilon=epsilon, step_size=step_size)
    gradient, logits = input_gradient(model, x_adv, y, loss, mode=mode)
    return project(torch.add(x_adv, gradient.sign(), alpha=step_size), x, epsilon), logits


def bim_steps(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    step_size: float,
    iterations: int,
    loss: Loss = cross_entropy,
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
        loss: what the steps ascend, as in `input_gradient`.

    Raises:
        InputError: `epsilon` or `step_size` is not above 0, or `iterations` is below 1.
    """
    check_budget(epsilon, step_size, iterations)
    model = frozen(model)
    x_adv = x
    for _ in range(iterations):
        x_adv, logits = ascend(model, x_adv, x, y, epsilon=epsilon, step_size=step_size, loss=loss)
        yield x_adv, logits


def bim(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, iterations: int) -> Tensor:
    """Adversarial examples [B, C, H, W] of the Basic Iterative Method: the last iterate of `bim_steps`."""
    check_budget(epsilon, step_size, iterations)
    model = frozen(model)
    if isinstance(model, Climber):
        return model.ascend(x, x, y, epsilon=epsilon, step_size=step_size, steps=iterations)[0]
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


def check_budget(epsilon: float, step_size: float, iterations: int) -> None:
    """Raise InputError unless an attack's numbers make sense."""
    check_epsilon(epsilon)
    check_above_zero("step_size", step_size)
    check_at_least_one("iterations", iterations)
