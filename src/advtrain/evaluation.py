"""The evaluations of a trained model, as rows of the evaluation table: the paper's own, and PGD from random starts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.accuracy import batches, right_under, right_under_bim
from advtrain.attacks import LOSSES, Attacked, bim_steps, fgsm, pgd, predict, random_starts
from advtrain.datasets import Examples
from advtrain.ensemble import for_each
from advtrain.errors import InputError, check_at_least_one
from advtrain.results import Row, evaluation_row


def sweep_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: list[int], batch_size: int) -> Iterator[Row]:
    """Accuracy on clean images, under FGSM, and under BIM(N) of epsilon / N a step for each N (Liu et al. 2019, Figure 1).

    Args:
        model: maps [B, 1, 28, 28] to logits [B, 10], on the data's device; or an ensemble.
        data: test examples.
        epsilon: radius of the budget.
        iterations: the numbers N.
        batch_size: images attacked at once; the result does not depend on it.

    Yields:
        Rows of the evaluation table, without data set, defense and seed. An ensemble has a row for each seed in turn.
    """
    clean = right_under(model, data, lambda x, y: x, batch_size)
    yield from _rows("clean", clean, loss="none", epsilon=0.0, step_size=0.0, iterations=0, restarts=0)
    right = right_under(model, data, lambda x, y: fgsm(model, x, y, epsilon=epsilon), batch_size)
    yield from _rows("fgsm", right, epsilon=epsilon, step_size=epsilon, iterations=1)
    for n in iterations:
        right = right_under_bim(model, data, epsilon=epsilon, iterations=n, batch_size=batch_size)
        yield from _rows("bim", right, epsilon=epsilon, step_size=epsilon / n, iterations=n)


def trace_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: int, batch_size: int) -> Iterator[Row]:
    """Accuracy after each iterate 0..N of one BIM(N) of epsilon / N a step (Liu et al. 2019, Figure 2).

    Arguments and rows as in `sweep_bim`; yields N + 1 figures.
    """
    step_size = epsilon / iterations
    right = _right_after_each(model, data, epsilon=epsilon, step_size=step_size, iterations=iterations, batch_size=batch_size)
    for iterate, outcomes in enumerate(right):
        yield from _rows("bim", outcomes, epsilon=epsilon, step_size=step_size, iterations=iterations, iterate=iterate)


def fixed_step_bim(
    model: nn.Module, data: Examples, *, epsilon: float, divisor: float, iterations: list[int], batch_size: int
) -> Iterator[Row]:
    """Accuracy under BIM of epsilon / divisor a step whatever the number of steps, where the paper's step is epsilon / N.

    With divisor 10 it is the iterative attack that ATDA is evaluated with by its authors' code (Song et al. 2019), so one that
    the paper may have used. Other arguments and rows as in `sweep_bim`, but for the attack's name; yields a figure for each N.
    """
    step_size, most = epsilon / divisor, max(iterations, default=0)
    right = _right_after_each(model, data, epsilon=epsilon, step_size=step_size, iterations=most, batch_size=batch_size)
    for n in iterations:
        yield from _rows("bim_fixed_step", right[n], epsilon=epsilon, step_size=step_size, iterations=n)


def _right_after_each(
    model: nn.Module, data: Examples, *, epsilon: float, step_size: float, iterations: int, batch_size: int
) -> Tensor:
    """Which examples are right after each iterate 0..N of one BIM, [N + 1, n], or [N + 1, S, n] for an ensemble.

    The logits of an iterate are those of the gradient of the step that leaves it, so it costs one forward pass more than the
    attack.
    """
    right = []
    for x, y in batches(data, batch_size):
        x, y = for_each(model, x), for_each(model, y)
        x_adv, logits = x, []
        for x_adv, before in bim_steps(  # noqa: B007
            model, x, y, epsilon=epsilon, step_size=step_size, iterations=iterations
        ):
            logits.append(before)
        logits.append(predict(model, x_adv))
        right.append(torch.stack(logits).argmax(dim=-1) == y)
    return torch.cat(right, dim=-1)


@dataclass(frozen=True)
class Pgd:
    """PGD from random starts on a whole data set (Madry et al. 2017)."""

    epsilon: float
    """Radius of the budget."""
    step_size: float
    """Length of a step per pixel."""
    iterations: int
    """Steps of a restart."""
    restarts: int
    """Random starts."""
    seed: int
    """Draws the starts: the same for each loss, and the first ones the same whatever their number."""
    batch_size: int
    """Images attacked at once; the result does not depend on it."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], epsilon: float, batch_size: int) -> "Pgd":
        """The attack of a configuration's `pgd`: a step is `step_factor` times epsilon over the iterations.

        Raises:
            InputError: a key is missing or unknown, or a number is out of range.
        """
        if settings.keys() != {"iterations", "step_factor", "restarts", "seed"}:
            raise InputError(f"PGD has {', '.join(settings)}; it needs iterations, step_factor, restarts and seed")
        for key in ("iterations", "restarts"):
            check_at_least_one(key, settings[key])
        factor, seed = settings["step_factor"], settings["seed"]
        if not isinstance(factor, int | float) or not factor > 0:
            raise InputError(f"step_factor is {factor!r}; it has to be a number above 0")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise InputError(f"seed is {seed!r}; it has to be an integer of at least 0")
        step_size = factor * epsilon / settings["iterations"]
        return cls(epsilon, step_size, settings["iterations"], settings["restarts"], seed, batch_size)

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


def strong(model: nn.Module, data: Examples, attack: Pgd) -> Iterator[Row]:
    """Accuracy under PGD on each loss, after one restart and after all, and the worst case of both losses.

    An example counts only if it is right when clean and withstands every iterate of every restart (Carlini et al. 2019).

    Yields:
        Rows of the evaluation table, without data set, defense and seed.
    """

    def row(right: Tensor, loss: str, restarts: int) -> Row:
        return evaluation_row(
            "pgd",
            right.cpu().numpy(),
            loss=loss,
            epsilon=attack.epsilon,
            step_size=attack.step_size,
            iterations=attack.iterations,
            restarts=restarts,
        )

    worst = torch.ones_like(data.y, dtype=torch.bool)
    for loss in LOSSES:
        robust = attack.attack(model, data, loss).robust
        for restarts in sorted({1, attack.restarts}):
            yield row(robust[restarts], loss, restarts)
        worst &= robust[-1]
    yield row(worst, "worst", len(LOSSES) * attack.restarts)


def _rows(attack: str, right: Tensor, **columns: Any) -> Iterator[Row]:  # noqa: ANN401
    """The row of outcomes [n], or one for each seed of [S, n]."""
    for outcomes in right.view(-1, right.shape[-1]).cpu().numpy():
        yield evaluation_row(attack, outcomes, **columns)
