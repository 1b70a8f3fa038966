"""The paper's evaluations, as rows of the evaluation table: the sweep over iteration counts, and the trace of one attack."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from advtrain.accuracy import batches, count_correct, count_correct_under_bim, predict
from advtrain.attacks import bim_steps, fgsm
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
    for x, y in batches(data, batch_size):
        x_adv, logits = x, []
        for x_adv, before in bim_steps(  # noqa: B007
            model, x, y, epsilon=epsilon, step_size=epsilon / iterations, iterations=iterations
        ):
            logits.append(before)
        logits.append(predict(model, x_adv))
        correct += (torch.stack(logits).argmax(dim=2) == y).sum(dim=1).cpu()
    for iterate, hits in enumerate(correct.tolist()):
        yield evaluation_row("bim", epsilon, epsilon / iterations, iterations, iterate, len(data), hits)


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
