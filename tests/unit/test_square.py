"""Square Attack: a random search that sees logits only. What all attacks promise is in test_attacks.py."""

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import margin
from advtrain.attacks.square import square
from advtrain.data.examples import Examples
from advtrain.networks.plain import initialise, predict, small_cnn


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network


@pytest.fixture
def data(network: nn.Module, examples: Examples) -> Examples:
    """Images that the network gets right."""
    return Examples(examples.x, network(examples.x).argmax(dim=1))


def attack(model: nn.Module, data: Examples, *, queries: int = 30, seed: int = 0, batch_size: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return square(model, data.x, data.y, epsilon=0.1, queries=queries, generator=generator, batch_size=batch_size)


def test_every_pixel_is_on_the_edge_of_the_budget_or_the_box(network: nn.Module, data: Examples) -> None:
    x_adv = attack(network, data)
    assert ((((x_adv - data.x).abs() - 0.1).abs() < 1e-6) | (x_adv == 0) | (x_adv == 1)).all()


def test_more_queries_fool_more_and_bring_no_image_further_from_the_boundary(network: nn.Module, data: Examples) -> None:
    few, many = (margin(predict(network, attack(network, data, queries=n)), data.y) for n in (1, 200))
    assert (many >= few - 1e-6).all()
    assert (many > 0).sum() > (few > 0).sum()


def test_it_needs_no_gradient(network: nn.Module, data: Examples) -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return network(x).detach()

    assert torch.equal(attack(Detached(), data), attack(network, data))


def test_one_seed_repeats_and_two_differ_whatever_the_batches(network: nn.Module, data: Examples) -> None:
    first = attack(network, data)
    assert torch.equal(first, attack(network, data))
    assert torch.equal(first, attack(network, data, batch_size=7))
    assert not torch.equal(first, attack(network, data, seed=1))


def test_an_image_that_the_first_stripes_fool_is_left_alone(network: nn.Module, data: Examples) -> None:
    first, later = (attack(network, data, queries=n) for n in (1, 50))
    fooled = network(first).argmax(dim=1) != data.y
    assert 0 < fooled.sum() < 96
    assert torch.equal(first[fooled], later[fooled])
    assert not torch.equal(first, later)
