"""AutoAttack (Croce and Hein 2020), by the package pyautoattack: four attacks in turn, each on what withstood those before.

The package reseeds the global random generators and switches tracing off, so it runs in a process of its own: nothing but the
script of this evaluation imports this file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from advtrain.accuracy import right_under
from advtrain.attacks import predict, within_budget
from advtrain.datasets import Examples
from advtrain.frozen import frozen
from advtrain.results import Row, evaluation_row

State = dict[str, Tensor]
"""By attack, whether each of the images that it has done so far is still robust; `clean` has them all."""


@dataclass(frozen=True)
class Stage:
    """One of the four attacks, in its standard version."""

    name: str
    """In pyautoattack."""
    loss: str
    iterations: int


STAGES = {
    "apgd_ce": Stage("apgd-ce", "cross_entropy", 100),
    "apgd_t": Stage("apgd-t", "targeted_dlr", 100),
    "fab_t": Stage("fab-t", "distance", 100),
    "square": Stage("square", "margin", 5000),
}
"""In their order: targeted attacks try all nine other classes, Square 5,000 queries."""


def autoattack(
    model: nn.Module,
    data: Examples,
    *,
    epsilon: float,
    examples: Mapping[str, int],
    seed: int,
    batch_size: int,
    state: State,
    save: Callable[[State], None],
) -> Iterator[Row]:
    """Accuracy after each attack of AutoAttack and those before it; the last, `autoattack`, is after all four.

    Args:
        model: maps [B, 1, 28, 28] to logits [B, 10], on the data's device.
        data: test examples.
        epsilon: radius of the budget.
        examples: for each of `STAGES`, how many of the first examples it attacks; never more than the one before.
        seed: of the attacks' random starts.
        batch_size: images attacked at once; the package draws an image's start by its place in the batch, so the result
            depends on it.
        state: where a killed run goes on, or {}.
        save: is called with the state after each batch; a run that goes on from it ends with the same rows.

    Yields:
        Rows of the evaluation table, without data set, defense and seed.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    package = AutoAttack(frozen(model.eval()), norm="Linf", eps=epsilon, seed=seed, version="standard", device=data.y.device)
    state = state or {"clean": right_under(model, data, lambda x, y: x, batch_size).cpu()}
    standing = state["clean"]
    for attack, stage in STAGES.items():
        package.attacks_to_run = [stage.name]
        done = state.get(attack, standing[:0])
        for start in range(len(done), examples[attack], batch_size):
            index = torch.arange(start, min(start + batch_size, examples[attack]))
            done = torch.cat([done, _withstands(package, data, index, standing[index])])
            save(state | {attack: done})
        state = state | {attack: done}
        standing = done
        yield _row(attack, standing, epsilon, stage.loss, stage.iterations)
    yield _row("autoattack", standing, epsilon, "worst", 0)


def _withstands(package: AutoAttack, data: Examples, index: Tensor, standing: Tensor) -> Tensor:
    """Whether the examples `index` that are still standing withstand the package's attack too; bool, [len(index)]."""
    left = index[standing].to(data.y.device)
    if len(left) == 0:
        return standing
    x, y = data.x[left], data.y[left]
    x_adv, _ = package.run_standard_evaluation(x, y, batch_size=len(left))
    fooled = (predict(package.model, x_adv).argmax(dim=1) != y) & within_budget(x_adv, x, package.epsilon)
    still = standing.clone()
    still[standing] = ~fooled.cpu()
    return still


def _row(attack: str, right: Tensor, epsilon: float, loss: str, iterations: int) -> Row:
    return evaluation_row(attack, right.numpy(), loss=loss, epsilon=epsilon, step_size=None, iterations=iterations)
