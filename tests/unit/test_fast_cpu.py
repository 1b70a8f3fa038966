"""A network written down for attacks is the plain network, only quicker."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import LOSSES, input_gradient
from advtrain.fast.cpu import Frozen, _convolution, frozen
from advtrain.networks.plain import PLAIN, initialise, new_network
from agreement import largest_difference


def network_of(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    network = new_network(name)
    initialise(network, torch.Generator().manual_seed(3))
    return network.to(dtype)


def images(n: int, dtype: torch.dtype = torch.float64, size: int = 28) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(n, 1, size, size, generator=generator, dtype=dtype), torch.randint(10, (n,), generator=generator)


def watched(module: nn.Module, register: str = "register_forward_hook") -> nn.Module:
    """The same module, watched by a hook, so that attacks take it as it is."""
    twin = copy.deepcopy(module)
    getattr(twin, register)(lambda *arguments: None)
    return twin


def assert_same(network: nn.Module, x: Tensor, y: Tensor, loss: str = "cross_entropy") -> None:
    """Hold the frozen network to the logits and the gradient of the plain one, and see that it leaves the images alone."""
    assert type(frozen(network)) is Frozen
    before = x.clone()
    x.requires_grad_()
    logits = network(x)
    (expected,) = torch.autograd.grad(LOSSES[loss](logits, y).sum(), x)
    gradient, found = input_gradient(frozen(network), x, y, LOSSES[loss])
    assert largest_difference(found, logits) < 1e-12
    assert largest_difference(gradient, expected) < 1e-12
    assert torch.equal(x, before)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", PLAIN)
def test_every_network_of_ours_gives_the_same_logits_and_gradient(name: str, loss: str) -> None:
    assert_same(network_of(name), *images(7), loss)


@pytest.mark.parametrize("name", PLAIN)
def test_every_network_of_ours_gives_the_same_in_float32_but_for_rounding(name: str) -> None:
    network, (x, y) = network_of(name, torch.float32), images(7, torch.float32)
    gradient, logits = input_gradient(frozen(network), x, y)
    expected, plain = input_gradient(watched(network), x, y)
    assert largest_difference(logits, plain) < 1e-5
    # An activation that rounds to the other side of zero moves a whole patch of the gradient: most entries, not all.
    near = (gradient - expected).abs() <= 1e-5 * expected.abs().max()
    assert near.double().mean() > 0.99


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


@pytest.mark.parametrize(("size", "maps"), [(28, 7), (20, 5)])
def test_networks_without_biases_and_for_other_sizes_give_the_same_too(size: int, maps: int) -> None:
    layers = [nn.Conv2d(1, 4, 3, stride=3, padding=2, bias=False), nn.ReLU(), nn.Conv2d(4, 6, 2), nn.MaxPool2d(3, stride=1)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * maps**2, 10, bias=False)).double()
    assert_same(network, *images(3, size=size))


def test_a_layer_used_twice_is_run_twice() -> None:
    layers = [nn.Conv2d(1, 4, 3), activation := nn.ReLU(), nn.Conv2d(4, 4, 3), activation]
    assert_same(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 24**2, 10)).double(), *images(2))


def test_weights_are_those_of_the_moment() -> None:
    network, (x, _) = network_of("small_cnn"), images(2)
    before, once = network(x), frozen(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    assert largest_difference(once(x), before) < 1e-12
    assert largest_difference(frozen(network)(x), network(x)) < 1e-12


def with_another_forward(module: nn.Module) -> nn.Module:
    module.forward = lambda x: 2 * x
    return module


class OwnSequential(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def cnn_with(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *layers, nn.Flatten(), nn.Linear(4 * 28 * 28, 10))


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "a watched network": lambda: watched(cnn_with(nn.ReLU())),
    "a network with a watched layer": lambda: cnn_with(watched(nn.ReLU())),
    "a network watched on the way back": lambda: watched(cnn_with(nn.ReLU()), "register_full_backward_hook"),
    "a forward put in its place": lambda: with_another_forward(cnn_with()),
    "a layer's forward put in its place": lambda: cnn_with(with_another_forward(nn.ReLU())),
    "another forward": lambda: OwnSequential(*cnn_with()),
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
    "nothing at all": nn.Sequential,
    "no convolution": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "another device": lambda: cnn_with().to("meta"),
    "a module that is no row of layers": lambda: nn.Linear(784, 10),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_it_does_not_know_comes_back_as_it_is(what: str) -> None:
    network = UNKNOWN[what]()
    assert frozen(network) is network
