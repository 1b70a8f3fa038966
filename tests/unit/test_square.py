"""Square Attack: a random search that sees logits only."""

import pytest
import torch
from torch import Tensor, nn

from advtrain.data.examples import Examples
from advtrain.system.errors import InputError
from advtrain.networks.plain import initialise, small_cnn
from advtrain.attacks.square import square


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network


def attack(model: nn.Module, data: Examples, *, queries: int = 30, seed: int = 0, batch_size: int = 96) -> Tensor:
    y = model(data.x).argmax(dim=1)
    generator = torch.Generator().manual_seed(seed)
    return square(model, data.x, y, epsilon=0.1, queries=queries, generator=generator, batch_size=batch_size)


def fooled(model: nn.Module, data: Examples, x_adv: Tensor) -> float:
    return (model(x_adv).argmax(dim=1) != model(data.x).argmax(dim=1)).double().mean().item()


def test_it_stays_in_the_budget_and_the_box(network: nn.Module, examples: Examples) -> None:
    x_adv = attack(network, examples)
    assert (x_adv - examples.x).abs().max() <= 0.1 + 1e-6
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert x_adv.dtype == torch.float32


def test_every_pixel_sits_on_the_edge_of_the_budget_or_the_box(network: nn.Module, examples: Examples) -> None:
    moved = (attack(network, examples) - examples.x).abs()
    x_adv = attack(network, examples)
    assert (((moved - 0.1).abs() < 1e-6) | (x_adv == 0) | (x_adv == 1)).all()


def test_more_queries_fool_more(network: nn.Module, examples: Examples) -> None:
    few, many = (fooled(network, examples, attack(network, examples, queries=queries)) for queries in (1, 200))
    assert few < many


def test_it_needs_no_gradient(network: nn.Module, examples: Examples) -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return network(x).detach()

    assert torch.equal(attack(Detached(), examples), attack(network, examples))


def test_one_seed_repeats_and_two_differ_whatever_the_batches(network: nn.Module, examples: Examples) -> None:
    first = attack(network, examples)
    assert torch.equal(first, attack(network, examples))
    assert torch.equal(first, attack(network, examples, batch_size=7))
    assert not torch.equal(first, attack(network, examples, seed=1))


def test_it_leaves_the_global_random_state_alone(network: nn.Module, examples: Examples) -> None:
    before = torch.get_rng_state()
    attack(network, examples)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_that_is_fooled_is_left_alone(examples: Examples) -> None:
    """Each forward pass sees only the images that still stand: none from the first query on if all are wrong at once."""
    seen = []

    class AlwaysOne(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return torch.eye(10)[torch.ones(len(x), dtype=torch.int64)]

    y = torch.zeros(96, dtype=torch.int64)
    square(AlwaysOne(), examples.x, y, epsilon=0.1, queries=50, generator=torch.Generator(), batch_size=96)
    assert seen == [96]


@pytest.mark.parametrize(("epsilon", "queries", "named"), [(0.0, 10, "epsilon is 0.0"), (0.1, 0, "queries is 0")])
def test_a_budget_that_makes_no_sense_is_refused(
    network: nn.Module, examples: Examples, epsilon: float, queries: int, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        square(network, examples.x, examples.y, epsilon=epsilon, queries=queries, generator=torch.Generator(), batch_size=96)
