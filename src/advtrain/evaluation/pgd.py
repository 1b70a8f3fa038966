"""PGD from random starts on the test images, as rows of the evaluation table."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import LOSSES
from advtrain.attacks.pgd import Pgd
from advtrain.data.examples import Examples
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, evaluation_row
from advtrain.system.errors import check_above_zero, check_at_least_one, check_not_negative


@dataclass(frozen=True, kw_only=True)
class PgdSettings:
    """The attack of the configuration's section `pgd`."""

    iterations: int
    """Steps of a restart."""
    step_factor: float
    """A step is step_factor * epsilon / iterations."""
    restarts: int
    """Random starts on each loss."""
    seed: int
    """Draws the starts."""

    def __post_init__(self) -> None:
        check_at_least_one("iterations", self.iterations)
        check_above_zero("step_factor", self.step_factor)
        check_at_least_one("restarts", self.restarts)
        check_not_negative("seed", self.seed)

    def attack(self, epsilon: float, batch_size: int) -> Pgd:
        """The attack with a data set's budget."""
        step_size = self.step_factor * epsilon / self.iterations
        return Pgd(
            epsilon=epsilon,
            step_size=step_size,
            iterations=self.iterations,
            restarts=self.restarts,
            seed=self.seed,
            batch_size=batch_size,
        )


@dataclass(frozen=True, kw_only=True)
class Strong(OnTestImages):
    """PGD on test images."""

    pgd: PgdSettings


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
