"""PGD: projected gradient descent from random starts, the worst case over all restarts and iterates of each image."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import LOSSES, Loss, ascend, check_budget, margin, project
from advtrain.data.examples import Examples
from advtrain.fast.choice import frozen
from advtrain.networks.plain import predict, predict_all

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From an iterate, with its images and labels, to the next iterate and the logits of the first: `ascend` of some length."""


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

    An image that the model gets wrong without an attack is not robust; one that is fooled once is not attacked again. The
    images x [n, C, H, W] go through the model `batch_size` at once, which does not change the result. The attack ascends
    `loss`, one of `LOSSES`; epsilon and step size are in the images' units. `step_size` is that of the first step; the others
    are those of `falling_steps`. Each restart starts at one of `starts`, points [n, C, H, W] within the budget:
    `random_starts`, or [x]. Raises as `check_budget`.
    """
    check_budget(epsilon, step_size, iterations)
    model = frozen(model)
    sizes = falling_steps(step_size, iterations)
    steps = [partial(ascend, model, loss=loss, epsilon=epsilon, step_size=size) for size in sizes]
    clean = predict_all(model, x, batch_size)
    x_adv, highest, robust = x.clone(), margin(clean, y), [clean.argmax(dim=1) == y]
    for start in starts:
        robust.append(robust[-1].clone())
        standing = robust[-1].nonzero().squeeze(1)
        for index in standing.split(batch_size) if len(standing) else ():
            reached, fooled, reached_margin = _until_fooled(model, steps, start[index], x[index], y[index])
            worse = fooled | (reached_margin > highest[index])
            x_adv[index[worse]], highest[index[worse]] = reached[worse], reached_margin[worse]
            robust[-1][index] = ~fooled
    return Attacked(x_adv, torch.stack(robust))


def falling_steps(step_size: float, iterations: int) -> list[float]:
    """Lengths of `iterations` steps that fall in a line: the first is `step_size`, and one more would be 0.

    Large steps find the region, small ones its highest point, which a step of one size jumps over (Croce and Hein 2020 halve
    APGD's for the same reason).
    """
    return [step_size * (1 - i / iterations) for i in range(iterations)]


def random_starts(x: Tensor, *, epsilon: float, restarts: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`restarts` points [n, C, H, W], uniform in the budget around the images x [n, C, H, W], then clipped to [0, 1].

    Drawn where `generator` lives, for all images at once: the same points whatever the device and the batches.
    """
    for _ in range(restarts):
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
        yield project(x + epsilon * (2 * noise - 1), x, epsilon)


def _until_fooled(
    model: nn.Module, steps: Sequence[Step], start: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The first iterate from `start` on that fools the model, or the last one; whether it fools; and its margin.

    An image that fools the model counts as fooled, even if the last pass, in a fuller batch, rounds to the other side.
    """
    x_adv, fooled, active = start.clone(), torch.ones_like(y, dtype=torch.bool), torch.arange(len(y), device=y.device)
    for step in steps:
        moved, logits = step(x_adv[active], x[active], y[active])
        right = logits.argmax(dim=1) == y[active]
        active = active[right]
        if len(active) == 0:
            break
        x_adv[active] = moved[right]
    logits = predict(model, x_adv)
    fooled[active] = logits[active].argmax(dim=1) != y[active]
    return x_adv, fooled, margin(logits, y)


@dataclass(frozen=True, kw_only=True)
class Pgd:
    """PGD from random starts on a whole data set (Madry et al. 2017)."""

    epsilon: float
    """Radius of the budget."""
    step_size: float
    """Length of the first step per pixel; the others fall to 0."""
    iterations: int
    """Steps of a restart."""
    restarts: int
    """Random starts."""
    seed: int
    """Draws the starts: the same for each loss, and the first ones the same whatever their number."""
    batch_size: int
    """Images attacked at once; the result does not depend on it."""

    def walk(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Where the steps on the cross-entropy lead from the images x [B, C, H, W] themselves, not stopped when they fool."""
        model, x_adv = frozen(model), x
        for size in falling_steps(self.step_size, self.iterations):
            x_adv, _ = ascend(model, x_adv, x, y, epsilon=self.epsilon, step_size=size)
        return x_adv

    def attack(self, model: nn.Module, data: Examples, loss: str) -> Attacked:
        """Attack all examples on one of `LOSSES`."""
        generator = torch.Generator().manual_seed(self.seed)
        return pgd(
            model,
            data.x,
            data.y,
            loss=LOSSES[loss],
            epsilon=self.epsilon,
            step_size=self.step_size,
            iterations=self.iterations,
            starts=random_starts(data.x, epsilon=self.epsilon, restarts=self.restarts, generator=generator),
            batch_size=self.batch_size,
        )
