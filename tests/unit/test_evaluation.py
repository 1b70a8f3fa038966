import pytest
import torch
from torch import Tensor, nn

from advtrain.evaluation.outcomes import right_under, right_under_bim
from advtrain.attacks.gradient import bim, bim_steps
from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import fixed_step_bim, sweep_bim, trace_bim
from advtrain.networks.plain import initialise, small_cnn

BUDGET = {"epsilon": 0.2, "batch_size": 40}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network.eval()


def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> int:
    return int((network(x).argmax(dim=1) == y).sum())


def test_the_sweep_has_clean_fgsm_and_each_bim_of_step_epsilon_over_n(network: nn.Module, examples: Examples) -> None:
    rows = list(sweep_bim(network, examples, iterations=[1, 5], **BUDGET))
    assert [(row["attack"], row["iterations"]) for row in rows] == [("clean", 0), ("fgsm", 1), ("bim", 1), ("bim", 5)]
    assert [row["step_size"] for row in rows] == [0.0, 0.2, 0.2, 0.04]
    for row, n in ((rows[2], 1), (rows[3], 5)):
        x_adv = bim(network, examples.x, examples.y, epsilon=0.2, step_size=0.2 / n, iterations=n)
        assert row["correct"] == accuracy(network, x_adv, examples.y)
        assert row["accuracy"] == row["correct"] / row["examples"] == row["correct"] / 96
    assert rows[0]["correct"] == accuracy(network, examples.x, examples.y)
    assert rows[1]["correct"] == rows[2]["correct"], "FGSM is BIM of one step"


def test_the_trace_has_each_iterate_of_one_attack(network: nn.Module, examples: Examples) -> None:
    rows = list(trace_bim(network, examples, iterations=6, **BUDGET))
    assert [row["iterate"] for row in rows] == list(range(7))
    expected = [accuracy(network, examples.x, examples.y)]
    for x_adv, _ in bim_steps(network, examples.x, examples.y, epsilon=0.2, step_size=0.2 / 6, iterations=6):
        expected.append(accuracy(network, x_adv, examples.y))
    assert [row["correct"] for row in rows] == expected


def test_the_trace_ends_where_the_sweep_is(network: nn.Module, examples: Examples) -> None:
    (*_, last) = trace_bim(network, examples, iterations=5, **BUDGET)
    (*_, swept) = sweep_bim(network, examples, iterations=[5], **BUDGET)
    assert last == swept


def test_with_a_fixed_step_more_iterations_go_on_from_where_fewer_end(network: nn.Module, examples: Examples) -> None:
    """Unlike BIM(N) of epsilon / N a step, which all have the same length of path."""
    rows = list(fixed_step_bim(network, examples, divisor=4, iterations=[4, 9], **BUDGET))
    assert [(row["attack"], row["iterations"], row["iterate"]) for row in rows] == [
        ("bim_fixed_step", 4, 4),
        ("bim_fixed_step", 9, 9),
    ]
    for row in rows:
        assert row["step_size"] == 0.05
        x_adv = bim(network, examples.x, examples.y, epsilon=0.2, step_size=0.05, iterations=row["iterations"])
        assert row["correct"] == accuracy(network, x_adv, examples.y)


def test_the_trace_costs_one_forward_pass_more_than_the_attack(network: nn.Module, examples: Examples) -> None:
    calls: list[int] = []
    handle = network.register_forward_hook(lambda module, arguments, output: calls.append(len(output)))
    list(trace_bim(network, examples, iterations=10, epsilon=0.2, batch_size=96))
    handle.remove()
    assert calls == [96] * 11


def test_the_outcome_does_not_depend_on_the_batch_size(network: nn.Module, examples: Examples) -> None:
    small, middle, whole = (
        right_under_bim(network, examples, epsilon=0.1, iterations=3, batch_size=size) for size in (7, 40, 96)
    )
    assert torch.equal(small, middle)
    assert torch.equal(small, whole)


def test_the_model_is_counted_in_evaluation_mode_and_keeps_its_mode(examples: Examples) -> None:
    model = nn.Sequential(nn.Dropout(0.9), small_cnn()).train()
    first = right_under(model, examples, lambda x, y: x, 96)
    assert torch.equal(first, right_under(model, examples, lambda x, y: x, 96))
    assert model.training


def test_what_counts_is_the_answer_to_the_adversarial_example(examples: Examples) -> None:
    """As in the paper's columns: an image that the model gets wrong and the attack puts right counts as correct."""

    class BrightIsOne(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bright = x.flatten(1).mean(dim=1)
            return torch.stack([0.5 - bright, bright - 0.5], dim=1)

    data = Examples(torch.full((3, 1, 28, 28), 0.4), torch.tensor([0, 1, 1]))
    assert right_under(BrightIsOne(), data, lambda x, y: x, 3).sum() == 1
    assert right_under(BrightIsOne(), data, lambda x, y: x + 0.2, 3).sum() == 2
    assert right_under(BrightIsOne(), data, lambda x, y: x + 0.2 * y.view(-1, 1, 1, 1), 3).sum() == 3
