"""The paper's own evaluations, which examples count as right, and the settings of every evaluation and of the audit.

The rows are of batches of 40, the attacks that they are compared with take all images at once: that makes no difference.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim, bim_steps
from advtrain.attacks.pgd import Pgd
from advtrain.audit.measure import Audit
from advtrain.data.examples import Examples
from advtrain.evaluation.auto_attack import AutoAttackSettings
from advtrain.evaluation.outcomes import correct_after
from advtrain.evaluation.paper_attacks import FixedStep, Sweep, Trace, fixed_step_bim, sweep_bim, trace_bim
from advtrain.evaluation.pgd import PgdSettings, Strong
from advtrain.networks.plain import initialise, small_cnn
from advtrain.system.errors import InputError
from advtrain.system.settings import read_settings

IMAGES = {"epsilon": 0.2, "examples": 96, "subset_seed": 0}


def sweep(*iterations: int) -> Sweep:
    return Sweep(**IMAGES, iterations=iterations, fixed_step=FixedStep(divisor=4, iterations=(4, 9)))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network.eval()


def right(network: nn.Module, x: Tensor, y: Tensor) -> int:
    return int((network(x).argmax(dim=1) == y).sum())


def test_the_sweep_has_clean_fgsm_and_each_bim_of_step_epsilon_over_n(network: nn.Module, examples: Examples) -> None:
    rows = list(sweep_bim(network, examples, sweep(1, 5), batch_size=40))
    assert [(row["attack"], row["iterations"]) for row in rows] == [("clean", 0), ("fgsm", 1), ("bim", 1), ("bim", 5)]
    assert [row["step_size"] for row in rows] == [0.0, 0.2, 0.2, 0.04]
    for row, n in ((rows[2], 1), (rows[3], 5)):
        x_adv = bim(network, examples.x, examples.y, epsilon=0.2, step_size=0.2 / n, iterations=n)
        assert row["correct"] == right(network, x_adv, examples.y)
        assert row["accuracy"] == row["correct"] / row["examples"] == row["correct"] / 96
    assert rows[0]["correct"] == right(network, examples.x, examples.y)
    assert rows[1]["correct"] == rows[2]["correct"], "FGSM is BIM of one step"


def test_the_trace_has_each_iterate_of_one_attack_and_ends_where_the_sweep_is(network: nn.Module, examples: Examples) -> None:
    rows = list(trace_bim(network, examples, Trace(**IMAGES, iterations=6), batch_size=40))
    assert [row["iterate"] for row in rows] == list(range(7))
    steps = bim_steps(network, examples.x, examples.y, epsilon=0.2, step_size=0.2 / 6, iterations=6)
    iterates = [examples.x, *(x_adv for x_adv, _ in steps)]
    assert [row["correct"] for row in rows] == [right(network, x_adv, examples.y) for x_adv in iterates]
    assert rows[-1] == list(sweep_bim(network, examples, sweep(6), batch_size=40))[-1]


def test_with_a_fixed_step_more_iterations_continue_where_fewer_end(network: nn.Module, examples: Examples) -> None:
    """Unlike BIM(N) of epsilon / N a step, which all have the same length of path."""
    rows = list(fixed_step_bim(network, examples, sweep(), batch_size=40))
    assert [(row["attack"], row["iterations"], row["iterate"]) for row in rows] == [("bim_fixed_step", n, n) for n in (4, 9)]
    for row in rows:
        assert row["step_size"] == 0.05
        x_adv = bim(network, examples.x, examples.y, epsilon=0.2, step_size=0.05, iterations=row["iterations"])
        assert row["correct"] == right(network, x_adv, examples.y)


def test_what_counts_is_the_answer_to_the_adversarial_example() -> None:
    """As in the paper's columns: an image that the model gets wrong and the attack puts right counts as correct."""

    class BrightIsOne(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bright = x.flatten(1).mean(dim=1)
            return torch.stack([0.5 - bright, bright - 0.5], dim=1)

    data = Examples(torch.full((3, 1, 28, 28), 0.4), torch.tensor([0, 1, 1]))
    assert correct_after(BrightIsOne(), data, lambda x, y: x, 3).sum() == 1
    assert correct_after(BrightIsOne(), data, lambda x, y: x + 0.2, 3).sum() == 2
    assert correct_after(BrightIsOne(), data, lambda x, y: x + 0.2 * y.view(-1, 1, 1, 1), 3).sum() == 3


PGD = {"iterations": 40, "step_factor": 1.5, "restarts": 10, "seed": 0}
RIGHT: dict[type, dict[str, Any]] = {
    Sweep: {**IMAGES, "iterations": [1, 5], "fixed_step": {"divisor": 10, "iterations": [10, 40]}},
    Trace: {**IMAGES, "iterations": 10},
    Strong: {**IMAGES, "pgd": PGD},
    AutoAttackSettings: {**IMAGES, "fab_square_examples": 96, "batch_size": 96, "seed": 0},
    Audit: {**IMAGES, "pgd": PGD, "trace_iterations": 10, "square_queries": 100, "noise_draws": 2},
}
WRONG: list[tuple[type, dict[str, Any], str]] = [
    (Sweep, {"epsilon": 0.0}, "epsilon is 0.0"),
    (Sweep, {"iterations": [1, 2.5]}, r"iterations\[1\] is 2.5"),
    (Sweep, {"iterations": [1, 0]}, "iterations is 0"),
    (Sweep, {"fixed_step": {"divisor": 0, "iterations": [10]}}, "divisor is 0"),
    (Sweep, {"fixed_step": {"divisor": 10, "iterations": [0]}}, "iterations is 0"),
    (Sweep, {"fixed_step": {"iterations": [10]}}, "fixed_step.divisor"),
    (Trace, {"iterations": 0}, "iterations is 0"),
    (Trace, {"examples": True}, "examples is True"),
    (Trace, {"subset_seed": None}, "subset_seed is None"),
    (Strong, {"pgd": {**PGD, "iterations": -1}}, "iterations is -1"),
    (Strong, {"pgd": {**PGD, "step_factor": "2.5"}}, "pgd.step_factor is '2.5'"),
    (Strong, {"pgd": {**PGD, "restarts": 0}}, "restarts is 0"),
    (Strong, {"pgd": {**PGD, "seed": -1}}, "seed is -1"),
    (Strong, {"pgd": {**PGD, "momentum": 0.9}}, "pgd.momentum"),
    (AutoAttackSettings, {"fab_square_examples": 97}, "fab_square_examples is 97"),
    (AutoAttackSettings, {"batch_size": 0}, "batch_size is 0"),
    (AutoAttackSettings, {"seed": -1}, "seed is -1"),
    *((Audit, {count: 0}, f"{count} is 0") for count in ("trace_iterations", "square_queries", "noise_draws")),
]


@pytest.mark.parametrize(("kind", "wrong", "named"), WRONG, ids=[f"{kind.__name__} {wrong}" for kind, wrong, _ in WRONG])
def test_a_wrong_setting_is_one_line_that_names_its_key(kind: type, wrong: dict[str, Any], named: str) -> None:
    assert read_settings(kind, RIGHT[kind]).examples == 96
    with pytest.raises(InputError, match=named) as error:
        read_settings(kind, {**RIGHT[kind], **wrong})
    assert "\n" not in str(error.value)


def test_the_first_step_of_pgd_is_its_factor_times_epsilon() -> None:
    expected = Pgd(epsilon=0.2, step_size=1.5 * 0.2, iterations=40, restarts=10, seed=0, batch_size=250)
    assert read_settings(PgdSettings, PGD).attack(0.2, 250) == expected
