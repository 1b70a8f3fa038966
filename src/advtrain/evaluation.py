"""Accuracy under an attack. The test set is used here, and nowhere else."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.attacks import bim, bim_steps, evaluation_mode, fgsm
from advtrain.datasets import Examples

Row = dict[str, Any]


def sweep_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: list[int], batch_size: int) -> Iterator[Row]:
    """Accuracy on clean images, under FGSM, and under BIM(N) of epsilon / N a step for each N (Liu et al. 2019, Figure 1).

    Args:
        model: maps [B, 1, 28, 28] to logits [B, 10], on the data's device.
        data: test examples.
        epsilon: radius of the budget.
        iterations: the numbers N.
        batch_size: images attacked at once; the result does not depend on it.

    Yields:
        Rows of the evaluation table, without data set, defense and seed.
    """
    clean = count_correct(model, data, lambda x, y: x, batch_size)
    yield evaluation_row("clean", 0.0, 0.0, 0, 0, len(data), clean)
    correct = count_correct(model, data, lambda x, y: fgsm(model, x, y, epsilon=epsilon), batch_size)
    yield evaluation_row("fgsm", epsilon, epsilon, 1, 1, len(data), correct)
    for n in iterations:
        correct = count_correct_under_bim(model, data, epsilon=epsilon, iterations=n, batch_size=batch_size)
        yield evaluation_row("bim", epsilon, epsilon / n, n, n, len(data), correct)


def trace_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: int, batch_size: int) -> Iterator[Row]:
    """Accuracy after each iterate 0..N of one BIM(N) of epsilon / N a step (Liu et al. 2019, Figure 2).

    The logits of an iterate are those of the gradient of the step that leaves it, so the whole trace costs one forward pass
    more than the attack. Arguments as in `sweep_bim`; yields N + 1 rows.
    """
    correct = torch.zeros(iterations + 1, dtype=torch.int64)
    for x, y in _batches(data, batch_size):
        x_adv, logits = x, []
        for x_adv, before in bim_steps(  # noqa: B007
            model, x, y, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations
        ):
            logits.append(before)
        logits.append(_logits(model, x_adv))
        correct += (torch.stack(logits).argmax(dim=2) == y).sum(dim=1).cpu()
    for iterate, hits in enumerate(correct.tolist()):
        yield evaluation_row("bim", epsilon, epsilon / iterations, iterations, iterate, len(data), hits)


def count_correct_under_bim(model: nn.Module, data: Examples, *, epsilon: float, iterations: int, batch_size: int) -> int:
    """Number of examples classified correctly under BIM(N), N = `iterations`, of epsilon / N a step."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return bim(model, x, y, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations)

    return count_correct(model, data, attack, batch_size)


def count_correct(model: nn.Module, data: Examples, attack: Callable[[Tensor, Tensor], Tensor], batch_size: int) -> int:
    """Number of examples that `model` classifies correctly after `attack(x, y)` has moved them."""
    correct = torch.zeros((), dtype=torch.int64, device=data.y.device)
    for x, y in _batches(data, batch_size):
        correct += (_logits(model, attack(x, y)).argmax(dim=1) == y).sum()
    return int(correct.item())


def evaluation_row(
    attack: str, epsilon: float, step_size: float, iterations: int, iterate: int, examples: int, correct: int
) -> Row:
    """One row of the evaluation table, of an attack on the cross-entropy that starts at the clean image."""
    return {
        "attack": attack,
        "loss": "none" if attack == "clean" else "cross_entropy",
        "epsilon": epsilon,
        "step_size": step_size,
        "iterations": iterations,
        "iterate": iterate,
        "restarts": 0 if attack == "clean" else 1,
        "examples": examples,
        "correct": correct,
        "accuracy": correct / examples,
    }


def _logits(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad(), evaluation_mode(model):
        logits: Tensor = model(x)
    return logits


def _batches(data: Examples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(data.x.split(batch_size), data.y.split(batch_size), strict=True)
