"""Square Attack: a random search that sees logits only. What all attacks promise is in test_attacks.py."""

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import margin
from advtrain.attacks.square import _side, square
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


def test_the_squares_shrink_as_those_of_the_official_code() -> None:
    shares = (0, 0.002, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9)
    assert [_side(share, 28, 28) for share in shares] == [25, 18, 13, 9, 6, 4, 3, 2, 2, 1]
    assert _side(0, 8, 28) == 8


def test_it_starts_from_vertical_stripes_and_each_further_query_sets_one_square_of_an_image_of_three_channels() -> None:
    """Of a model that is never fooled, and never nearer to it, so that each query sets a square of the start."""
    asked: list[Tensor] = []

    class Unmoved(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            asked.append(x)
            return torch.tensor([1.0, 0.0]).expand(len(x), 2)

    attack(Unmoved(), Examples(torch.full((96, 3, 28, 28), 0.5), torch.zeros(96, dtype=torch.int64)), queries=20)
    start, *tried = asked
    assert len(tried) == 19
    assert torch.equal(start, start[:, :, :1].expand_as(start))
    assert (start != start[..., :1]).any()
    met = torch.zeros(28, 28, dtype=torch.bool)
    for query, x in enumerate(tried, start=1):
        changed = x != start
        inside = changed.any(dim=1)
        heights, widths = extent(inside.any(dim=2)), extent(inside.any(dim=1))
        side = _side(query / 20, 28, 28)
        assert set(heights.tolist()) <= {0, side}, "a column of the start is of one sign"
        assert heights.max() == side >= widths.max()
        up = ((x > 0.5) & changed).flatten(2).any(dim=2)
        down = ((x < 0.5) & changed).flatten(2).any(dim=2)
        assert not (up & down).any(), "one sign for a channel"
        assert (up.any(dim=1) & down.any(dim=1)).any(), "each channel its own"
        met |= inside.any(dim=0)
    assert met.any(dim=0).all() and met.any(dim=1).all(), "each row and column"


def extent(flags: Tensor) -> Tensor:
    """From the first to the last flag of each row, [n, length], both included; 0 where none is set."""
    places = torch.arange(flags.shape[1])
    last, first = torch.where(flags, places, -1).amax(1), torch.where(flags, places, flags.shape[1]).amin(1)
    return (last - first + 1).clamp(min=0)
