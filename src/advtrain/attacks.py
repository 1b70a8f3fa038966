"""White-box l-infinity attacks on images in [0, 1]: FGSM, BIM and PGD, as pure functions.

An attack is three small functions: `input_gradient` looks at the model, `project` keeps the iterate in the budget, and
`ascend` does one after the other. The Proposed defense calls `ascend` once an epoch; BIM in training, the sweep over iteration
counts and the trace of one attack repeat it through `bim_steps`; PGD repeats it from random starts. So there is one
implementation to trust.

The model is seen in evaluation mode, the gradient is taken with respect to the images only, and nothing stays behind: not in
the parameters' `.grad`, not in the modules' flags, not in any random state.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.errors import InputError, check_at_least_one
from advtrain.frozen import frozen

Loss = Callable[[Tensor, Tensor], Tensor]

TOLERANCE = 1e-6
"""What rounding may add to epsilon: float32(0.3) is above 0.3."""


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


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Logits [B, K] of the images x [B, C, H, W], in evaluation mode and without a graph."""
    with torch.no_grad(), evaluation_mode(model):
        logits: Tensor = model(x)
    return logits


def predict_all(model: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    """Logits [n, K] of many images x [n, C, H, W] as `predict` gives them, `batch_size` at once."""
    return torch.cat([predict(model, batch) for batch in x.split(batch_size)])


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy [..., B] of the logits [..., B, K] and the labels [..., B]: the paper's loss."""
    return F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view_as(y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The highest other logit less the label's, [B]: above 0 where the model is wrong, 0 at a tie (Carlini and Wagner 2017).

    Unlike the cross-entropy it does not go flat where the model is very sure.
    """
    label = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(label, -torch.inf).amax(dim=1) - logits[label]


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "margin": margin}
"""What PGD ascends, by name."""


def input_gradient(model: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> tuple[Tensor, Tensor]:
    """Gradient of the loss with respect to the images, and the logits of the same forward pass.

    The loss is summed over the batch, so that an image's gradient does not depend on the images beside it.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x: images, [B, C, H, W].
        y: labels, [B], int64.
        loss: maps logits [B, K] and labels [B] to a loss for each image, [B].

    Returns:
        The gradient [B, C, H, W] and the logits [B, K], both detached.
    """
    x = x.detach().requires_grad_()
    with evaluation_mode(model), torch.enable_grad():
        logits = model(x)
        (gradient,) = torch.autograd.grad(loss(logits, y).sum(), x)
    return gradient, logits.detach()


def project(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Project onto the l-infinity ball of radius `epsilon` around `x` and onto the image box [0, 1]; all [B, C, H, W]."""
    return x_adv.clamp(x - epsilon, x + epsilon).clamp_(0.0, 1.0)


def within_budget(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Whether each image of x_adv lies in [0, 1] and, but for rounding, within `epsilon` of x, both [n, C, H, W]; bool, [n]."""
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

    Returns:
        The next iterate [B, C, H, W], and the logits [B, K] of `x_adv`, where the step started.
    """
    gradient, logits = input_gradient(frozen(model), x_adv, y, loss)
    return project(torch.add(x_adv, gradient.sign(), alpha=step_size), x, epsilon), logits


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
    model = frozen(model)
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


@dataclass(frozen=True)
class Attacked:
    """What `pgd` did to each of n images."""

    x_adv: Tensor
    """An iterate that fools the model if there is any, else of the restarts' last iterates the worst; [n, C, H, W]."""
    robust: Tensor
    """Whether an image is right when clean (row 0) and after the first r restarts (row r); bool, [restarts + 1, n]."""


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss,
    epsilon: float,
    step_size: float,
    iterations: int,
    starts: Iterable[Tensor],
    batch_size: int,
) -> Attacked:
    """Projected gradient descent, the worst case over all restarts and iterates of each image (Madry et al. 2017).

    An image that the model gets wrong without an attack is not robust; one that is fooled once is not attacked again.

    Args:
        model: maps [B, C, H, W] to logits [B, K].
        x: clean images, [n, C, H, W] in [0, 1].
        y: labels, [n], int64.
        loss: what the attack ascends, one of `LOSSES`.
        epsilon: radius of the budget, in the images' units.
        step_size: length of a step per pixel, in the images' units.
        iterations: steps of a restart.
        starts: where each restart starts, [n, C, H, W] within the budget: `random_starts`, or [x].
        batch_size: images that go through the model at once; the result does not depend on it.

    Raises:
        InputError: `epsilon` or `step_size` is not above 0, or `iterations` is below 1.
    """
    _check_budget(epsilon, step_size, iterations)
    model = frozen(model)
    clean = predict_all(model, x, batch_size)
    x_adv, highest, robust = x.clone(), margin(clean, y), [clean.argmax(dim=1) == y]
    for start in starts:
        robust.append(robust[-1].clone())
        standing = robust[-1].nonzero().squeeze(1)
        for index in standing.split(batch_size) if len(standing) else ():
            reached, fooled, reached_margin = _until_fooled(
                model, start[index], x[index], y[index], iterations, loss=loss, epsilon=epsilon, step_size=step_size
            )
            worse = fooled | (reached_margin > highest[index])
            x_adv[index[worse]], highest[index[worse]] = reached[worse], reached_margin[worse]
            robust[-1][index] = ~fooled
    return Attacked(x_adv, torch.stack(robust))


def random_starts(x: Tensor, *, epsilon: float, restarts: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`restarts` points [n, C, H, W], uniform in the budget around the images x [n, C, H, W], then clipped to [0, 1].

    Drawn where `generator` lives, for all images at once: the same points whatever the device and the batches.
    """
    for _ in range(restarts):
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
        yield project(x + epsilon * (2 * noise - 1), x, epsilon)


def _until_fooled(
    model: nn.Module,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    iterations: int,
    *,
    loss: Loss,
    epsilon: float,
    step_size: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The first iterate from `start` on that fools the model, or the last one; whether it fools; and its margin.

    An image leaves when it is fooled, and that stands, even if a last look in a fuller batch rounds to the other side.
    """
    x_adv, fooled, active = start.clone(), torch.ones_like(y, dtype=torch.bool), torch.arange(len(y), device=y.device)
    for _ in range(iterations):
        moved, logits = ascend(model, x_adv[active], x[active], y[active], loss=loss, epsilon=epsilon, step_size=step_size)
        right = logits.argmax(dim=1) == y[active]
        active = active[right]
        if len(active) == 0:
            break
        x_adv[active] = moved[right]
    logits = predict(model, x_adv)
    fooled[active] = logits[active].argmax(dim=1) != y[active]
    return x_adv, fooled, margin(logits, y)


def check_epsilon(epsilon: float) -> None:
    """Raise InputError unless `epsilon` lies in (0, 1], the images' units."""
    if not 0 < epsilon <= 1:
        raise InputError(f"epsilon is {epsilon}; it has to lie in (0, 1], the images' units")


def _check_budget(epsilon: float, step_size: float, iterations: int) -> None:
    check_epsilon(epsilon)
    if not step_size > 0:
        raise InputError(f"step_size is {step_size}; it has to be above 0")
    check_at_least_one("iterations", iterations)
