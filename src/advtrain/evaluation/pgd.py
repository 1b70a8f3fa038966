"""PGD from random starts on the test images, as rows of the evaluation table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import LOSSES
from advtrain.attacks.pgd import Pgd
from advtrain.data.examples import Examples
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, evaluation_row
from advtrain.system.errors import check_above_zero, check_not_negative
from advtrain.system.settings import check_counts


@dataclass(frozen=True, kw_only=True)
class PgdSettings:
    """The attack of the configuration's section `pgd`."""

    iterations: int
    """Steps of a restart."""
    step_factor: float
    """The first step is step_factor * epsilon; the others fall to 0."""
    restarts: int
    """Random starts on each loss."""
    seed: int
    """Draws the starts."""

    def __post_init__(self) -> None:
        check_counts(self)
        check_above_zero("step_factor", self.step_factor)
        check_not_negative("seed", self.seed)

    def attack(self, epsilon: float, batch_size: int) -> Pgd:
        """The attack with a data set's budget."""
        return Pgd(
            epsilon=epsilon,
            step_size=self.step_factor * epsilon,
            iterations=self.iterations,
            restarts=self.restarts,
            seed=self.seed,
            batch_size=batch_size,
        )


@dataclass(frozen=True, kw_only=True)
class Strong(OnTestImages):
    """PGD on test images."""

    pgd: PgdSettings


State = dict[str, Tensor]
"""By loss that is done, whether each image is right when clean and after each restart; bool, [restarts + 1, n]."""


def strong(
    model: nn.Module,
    data: Examples,
    attack: Pgd,
    *,
    state: State | None = None,
    save: Callable[[State], None] = lambda state: None,
) -> Iterator[Row]:
    """Accuracy under PGD on each loss, after one restart and after all, and the worst case of both losses.

    An example counts only if it is right when clean and withstands every iterate of every restart (Carlini et al. 2019).
    `save` gets the state after each loss; a killed run that resumes from it, as `state`, ends with the same rows.
    """
    state = state or {}
    right: dict[tuple[str, int], Tensor] = {}
    for loss in LOSSES:
        if loss not in state:
            state = state | {loss: attack.attack(model, data, loss).robust.cpu()}
            save(state)
        right |= {(loss, restarts): state[loss][restarts] for restarts in sorted({1, attack.restarts})}
    all_of_them = [right[loss, attack.restarts] for loss in LOSSES]
    right["worst", len(LOSSES) * attack.restarts] = torch.stack(all_of_them).all(dim=0)
    budget: dict[str, Any] = {"epsilon": attack.epsilon, "step_size": attack.step_size, "iterations": attack.iterations}
    for (loss, restarts), outcomes in right.items():
        yield evaluation_row("pgd", outcomes.numpy(), loss=loss, restarts=restarts, **budget)
