"""A network written down for attacks is the plain network, only quicker."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import LOSSES, bim, input_gradient
from advtrain.networks.cpu_fast_path import Frozen, _convolution, frozen
from advtrain.networks.plain import NETWORKS, initialise, new_network
from agreement import largest_difference


def network_of(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    network = new_network(name)
    initialise(network, torch.Generator().manual_seed(3))
    return network.to(dtype)


def images(n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(n, 1, 28, 28, generator=generator, dtype=dtype), torch.randint(10, (n,), generator=generator)


def plain_gradient(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    F.cross_entropy(network(x), y, reduction="sum").backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryNetworkOfOurs:
    def test_is_written_down(self, name: str) -> None:
        assert type(frozen(network_of(name))) is Frozen

    def test_gives_the_same_logits_and_gradient(self, name: str) -> None:
        network, (x, y) = network_of(name), images(7)
        gradient, logits = input_gradient(frozen(network), x, y)
        assert largest_difference(logits, network(x)) < 1e-12
        assert largest_difference(gradient, plain_gradient(network, x, y)) < 1e-12

    def test_gives_the_same_in_float32_but_for_rounding(self, name: str) -> None:
        network, (x, y) = network_of(name, torch.float32), images(7, torch.float32)
        gradient, logits = input_gradient(frozen(network), x, y)
        assert largest_difference(logits, network(x)) < 1e-5
        # An activation that rounds to the other side of zero moves a whole patch of the gradient: most entries, not all.
        expected = plain_gradient(network, x, y)
        near = (gradient - expected).abs() <= 1e-5 * expected.abs().max()
        assert near.double().mean() > 0.99

    @pytest.mark.parametrize("loss", LOSSES)
    def test_gives_the_same_for_every_loss_that_an_attack_ascends(self, name: str, loss: str) -> None:
        network, (x, y) = network_of(name), images(5)
        through_a_plain_one = input_gradient(hooked(network), x, y, LOSSES[loss])
        for ours, plain in zip(input_gradient(frozen(network), x, y, LOSSES[loss]), through_a_plain_one, strict=True):
            assert largest_difference(ours, plain) < 1e-12

    def test_leads_bim_to_the_same_adversarial_examples(self, name: str) -> None:
        network, (x, y) = network_of(name), images(5)
        budget = {"epsilon": 0.3, "step_size": 0.03, "iterations": 10}
        assert largest_difference(bim(network, x, y, **budget), bim(hooked(network), x, y, **budget)) < 1e-12

    def test_asks_for_no_gradient_of_the_weights(self, name: str) -> None:
        network, (x, _) = network_of(name), images(2)
        assert not frozen(network)(x).requires_grad
        assert frozen(network)(x.requires_grad_()).requires_grad

    def test_leaves_the_images_alone(self, name: str) -> None:
        network, (x, _) = network_of(name), images(2)
        before = x.clone()
        frozen(network)(x)
        assert torch.equal(x, before)


def test_a_frozen_network_is_frozen_once() -> None:
    once = frozen(network_of("small_cnn"))
    assert frozen(once) is once


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 2, 1), (4, 2, 0), (3, 3, 2), (2, 2, (0, 1)), (6, 3, 3), (3, 2, 1)]
)
@pytest.mark.parametrize("maps", [12, 13])
def test_strided_convolutions_are_the_same(kernel: int, stride: int, padding: int | tuple[int, int], maps: int) -> None:
    """Where the stride leaves rows over and where it does not; a kernel that is no multiple of it, too."""
    convolution = nn.Conv2d(3, 5, kernel, stride, padding).double()
    x = torch.rand(2, 3, maps, maps, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected, found = convolution(x), _convolution(convolution)(x)
    assert largest_difference(found, expected) < 1e-12
    weights = torch.rand(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((maps * weights).sum(), x)[0] for maps in (found, expected)]
    assert largest_difference(*gradients) < 1e-12


@pytest.mark.parametrize("size", [28, 20])
def test_convolutions_without_biases_and_of_other_sizes_are_the_same_too(size: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=3, padding=2, bias=False),
        nn.ReLU(),
        nn.Conv2d(4, 6, 2),
        nn.MaxPool2d(3, stride=1),
        nn.Flatten(),
        nn.Linear(6 * {28: 7, 20: 5}[size] ** 2, 3, bias=False),
    ).double()
    x = torch.rand(3, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2])
    assert type(frozen(network)) is Frozen
    gradient, logits = input_gradient(frozen(network), x, y)
    assert largest_difference(logits, network(x)) < 1e-12
    assert largest_difference(gradient, plain_gradient(network, x, y)) < 1e-12


def test_a_layer_used_twice_is_run_twice() -> None:
    activation = nn.ReLU()
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), activation, nn.Conv2d(4, 4, 3), activation, nn.Flatten(), nn.Linear(4 * 24**2, 3)
    ).double()
    x, _ = images(2)
    assert type(frozen(network)) is Frozen
    assert largest_difference(frozen(network)(x), network(x)) < 1e-12


def test_weights_are_those_of_the_moment() -> None:
    network, (x, _) = network_of("small_cnn"), images(2)
    before, once = network(x), frozen(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    assert largest_difference(once(x), before) < 1e-12
    assert largest_difference(frozen(network)(x), network(x)) < 1e-12


def hooked(network: nn.Module) -> nn.Module:
    """The same network, watched, so that attacks take it as it is."""
    twin = copy.deepcopy(network)
    twin.register_forward_hook(lambda module, arguments, output: None)
    return twin


def watched_on_the_way_back(network: nn.Module) -> nn.Module:
    network.register_full_backward_hook(lambda module, inputs, outputs: None)
    return network


def with_another_forward(module: nn.Module) -> nn.Module:
    module.forward = lambda x: 2 * x
    return module


class OwnSequential(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def cnn_with(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *layers, nn.Flatten(), nn.Linear(4 * 28 * 28, 10))


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "a watched network": lambda: hooked(cnn_with(nn.ReLU())),
    "a network with a watched layer": lambda: cnn_with(hooked(nn.ReLU())),
    "a network watched on the way back": lambda: watched_on_the_way_back(cnn_with(nn.ReLU())),
    "a forward put in its place": lambda: with_another_forward(cnn_with()),
    "a layer's forward put in its place": lambda: cnn_with(with_another_forward(nn.ReLU())),
    "a forward of its own": lambda: OwnSequential(*cnn_with()),
    "a layer that has modes": lambda: cnn_with(nn.Dropout(0.5)),
    "another activation": lambda: cnn_with(nn.Tanh()),
    "groups": lambda: cnn_with(nn.Conv2d(4, 4, 3, padding=1, groups=2)),
    "dilation": lambda: cnn_with(nn.Conv2d(4, 4, 3, padding=2, dilation=2)),
    "padding by name": lambda: cnn_with(nn.Conv2d(4, 4, 3, padding="same")),
    "padding by reflection": lambda: cnn_with(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
    "colour": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)),
    "no dense layer": lambda: nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()),
    "maps that are not flattened": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(26, 10)),
    "maps flattened in part": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.Linear(676, 10)),
    "maps that are not square": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 18, 10)),
    "an activation twice": lambda: cnn_with(nn.ReLU(), nn.ReLU()),
    "nothing at all": nn.Sequential,
    "no convolution": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "another device": lambda: cnn_with().to("meta"),
    "a module that is no row of layers": lambda: nn.Linear(784, 10),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_it_does_not_know_comes_back_as_it_is(what: str) -> None:
    network = UNKNOWN[what]()
    assert frozen(network) is network
