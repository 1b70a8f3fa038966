"""The paper's own evaluations of a trained model, as rows of the evaluation table: FGSM, BIM(N), and the trace of one BIM.

All functions take a model that maps [B, C, H, W] to logits [B, K] on the data's device, or an ensemble of several seeds.
They yield rows of the evaluation table without data set, defense and seed; an ensemble gives a row for each seed, one after
the other. No result depends on `batch_size`, the number of images attacked at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim_steps, fgsm
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import batches, correct_after, correct_after_bim
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, evaluation_row
from advtrain.fast.choice import in_training
from advtrain.networks.ensemble import per_seed
from advtrain.networks.plain import predict
from advtrain.system.errors import check_above_zero
from advtrain.system.settings import check_counts


@dataclass(frozen=True, kw_only=True)
class FixedStep:
    """BIM whose step does not depend on the number of steps."""

    divisor: float
    """A step is epsilon / divisor."""
    iterations: tuple[int, ...]
    """Numbers of steps, each evaluated."""

    def __post_init__(self) -> None:
        check_above_zero("divisor", self.divisor)
        check_counts(self)


@dataclass(frozen=True, kw_only=True)
class Sweep(OnTestImages):
    """Clean images, FGSM, BIM(N) for several N, and BIM of a fixed step."""

    iterations: tuple[int, ...]
    """The numbers N."""
    fixed_step: FixedStep


@dataclass(frozen=True, kw_only=True)
class Trace(OnTestImages):
    """One BIM(N), evaluated after each iterate."""

    iterations: int
    """The number N."""


def sweep_bim(model: nn.Module, data: Examples, sweep: Sweep, *, batch_size: int) -> Iterator[Row]:
    """Accuracy on clean images, under FGSM, and under BIM(N) of epsilon / N a step for each N (Liu et al. 2019, Figure 1)."""
    epsilon = sweep.epsilon
    clean = correct_after(model, data, lambda x, y: x, batch_size)
    yield from _rows("clean", clean, loss="none", epsilon=0.0, step_size=0.0, iterations=0, restarts=0)
    right = correct_after(model, data, lambda x, y: fgsm(model, x, y, epsilon=epsilon), batch_size)
    yield from _rows("fgsm", right, epsilon=epsilon, step_size=epsilon, iterations=1)
    for n in sweep.iterations:
        right = correct_after_bim(model, data, epsilon=epsilon, iterations=n, batch_size=batch_size)
        yield from _rows("bim", right, epsilon=epsilon, step_size=epsilon / n, iterations=n)


def trace_bim(model: nn.Module, data: Examples, trace: Trace, *, batch_size: int) -> Iterator[Row]:
    """Accuracy after each iterate 0..N of one BIM(N) of epsilon / N a step (Liu et al. 2019, Figure 2): N + 1 figures."""
    budget = {"epsilon": trace.epsilon, "step_size": trace.epsilon / trace.iterations}
    right = _right_after_each(model, data, **budget, iterations=trace.iterations, batch_size=batch_size)
    for iterate, outcomes in enumerate(right):
        yield from _rows("bim", outcomes, **budget, iterations=trace.iterations, iterate=iterate)


def fixed_step_bim(model: nn.Module, data: Examples, sweep: Sweep, *, batch_size: int) -> Iterator[Row]:
    """Accuracy under BIM of epsilon / divisor a step whatever the number of steps: a figure for each number.

    With divisor 10 it is the iterative attack that ATDA is evaluated with by its authors' code (Song et al. 2019), so one that
    the paper may have used.
    """
    budget = {"epsilon": sweep.epsilon, "step_size": sweep.epsilon / sweep.fixed_step.divisor}
    most = max(sweep.fixed_step.iterations, default=0)
    right = _right_after_each(model, data, **budget, iterations=most, batch_size=batch_size)
    for n in sweep.fixed_step.iterations:
        yield from _rows("bim_fixed_step", right[n], **budget, iterations=n)


def _right_after_each(model: nn.Module, data: Examples, *, batch_size: int, **budget: Any) -> Tensor:
    """Which examples are right after each iterate 0..N of one BIM, [N + 1, n], or [N + 1, S, n]; `budget` as of `bim_steps`.

    Step i's forward pass already gives the logits of iterate i, so this costs one forward pass more than the attack.
    """
    right = []
    for x, y in batches(data, batch_size):
        x, y = per_seed(model, x), per_seed(model, y)
        x_adv, logits = x, []
        for x_adv, before in bim_steps(model, x, y, **budget):  # noqa: B007
            logits.append(before)
        logits.append(predict(in_training(model), x_adv))
        right.append(torch.stack(logits).argmax(dim=-1) == y)
    return torch.cat(right, dim=-1)


def _rows(attack: str, right: Tensor, **columns: Any) -> Iterator[Row]:
    """The row of outcomes [n], or one for each seed of [S, n]."""
    for outcomes in right.view(-1, right.shape[-1]).cpu().numpy():
        yield evaluation_row(attack, outcomes, **columns)
