"""What the evaluation saves by sharing: one trace for all its iterates, and BIM(10) of the sweep from the trace."""

from collections.abc import Callable, Iterable
from functools import partial

import pandas as pd
import torch
from torch import nn

from advtrain.evaluation.outcomes import right_under
from advtrain.attacks.gradient import bim
from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import sweep_bim, trace_bim
from benchmarks.ground import Ground, devices
from benchmarks.measure import cpu_threads, interleave

ROUNDS = 3
EXAMPLES = 500
SHARED = "shared"
AFRESH = "afresh"


def measure(ground: Ground) -> pd.DataFrame:
    """The figures of one cell of the paper, by the pipeline's functions and by attacks that share nothing.

    Returns:
        Rows of `interleave` with `case` ("trace", or "sweep and trace"), `threads` and `device`, and `same_figures`: whether a
        contender's counts of right images are those of the pipeline.
    """
    settings = ground.config["evaluation"]
    tables = []
    for device in devices():
        network, data = ground.copy_of(ground.attacked).to(device), ground.test.first(EXAMPLES).to(device)
        cell = Cell(network, data, ground.epsilon, settings["batch_size"], settings["trace_iterations"])
        cases: dict[str, dict[str, Callable[[], list[int]]]] = {
            "trace": {SHARED: cell.trace, AFRESH: cell.iterates_afresh},
            "sweep and trace": {
                SHARED: partial(cell.sweep_and_trace, settings["sweep_iterations"]),
                AFRESH: partial(cell.sweep_and_iterates_afresh, settings["sweep_iterations"]),
            },
        }
        for case, contenders in cases.items():
            with cpu_threads(1):
                timed = interleave(contenders, ROUNDS, device).assign(case=case, threads=1, device=device.type)
                counts = {name: sorted(run()) for name, run in contenders.items()}
            timed["same_figures"] = timed["contender"].map(lambda name, counts=counts: counts[name] == counts[SHARED])
            tables.append(timed)
    return pd.concat(tables, ignore_index=True)


class Cell:
    """A model under BIM: how many images are right after each attack that Figures 1 and 2 show."""

    def __init__(self, model: nn.Module, data: Examples, epsilon: float, batch_size: int, iterations: int) -> None:
        """Args as in `advtrain.evaluation`; iterations, those of the trace."""
        self.model, self.data, self.epsilon, self.iterations = model, data, epsilon, iterations
        self.batch_size = batch_size

    def trace(self) -> list[int]:
        """After each iterate, from one attack."""
        rows = trace_bim(self.model, self.data, epsilon=self.epsilon, iterations=self.iterations, batch_size=self.batch_size)
        return [row["correct"] for row in rows]

    def iterates_afresh(self) -> list[int]:
        """After each iterate, from an attack that stops there."""
        return [self._right(iterate) for iterate in range(self.iterations + 1)]

    def sweep(self, iterations: Iterable[int]) -> list[int]:
        """On clean images, under FGSM, and under BIM(N) for each N."""
        rows = sweep_bim(self.model, self.data, epsilon=self.epsilon, iterations=list(iterations), batch_size=self.batch_size)
        return [row["correct"] for row in rows]

    def sweep_and_trace(self, iterations: Iterable[int]) -> list[int]:
        """All figures as the workflow makes them: the sweep leaves the N of the trace to the trace."""
        traced = self.trace()
        return [*self.sweep(n for n in iterations if n != self.iterations), *traced, traced[-1]]

    def sweep_and_iterates_afresh(self, iterations: Iterable[int]) -> list[int]:
        """All figures from attacks that share nothing."""
        return [*self.sweep(iterations), *self.iterates_afresh()]

    def _right(self, iterate: int) -> int:
        step_size = self.epsilon / self.iterations

        def attack(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            if iterate == 0:
                return x
            return bim(self.model, x, y, epsilon=self.epsilon, step_size=step_size, iterations=iterate)

        return int(right_under(self.model, self.data, attack, self.batch_size).sum().item())
