"""Which form of a network is computed with, that products are the plain network, and that every form keeps zeros."""

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import cross_entropy, input_gradient
from advtrain.fast import choice
from advtrain.fast.cpu import frozen
from advtrain.fast.products import Products
from advtrain.networks.ensemble import Ensemble, per_seed
from advtrain.networks.plain import PLAIN, initialise, new_network
from advtrain.system.randomness import SeededRandom
from advtrain.training.noisy_zeros import NoisyZeros


def network_of(name: str, seed: int = 0) -> nn.Sequential:
    network = new_network(name)
    generator = torch.Generator().manual_seed(seed)
    initialise(network, generator)
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.uniform_(layer.bias, -0.2, 0, generator=generator)
    return network.double()


@pytest.mark.parametrize("name", PLAIN)
def test_products_are_the_plain_network_alone_and_in_an_ensemble(name: str) -> None:
    plain = [network_of(name, seed) for seed in (1, 2)]
    together = Ensemble(plain)
    x, y = torch.rand(2, 3, 1, 28, 28, dtype=torch.float64).requires_grad_(), torch.tensor([[1, 2, 3], [4, 5, 6]])

    def gradients(model: nn.Module, network: nn.Module, seed: int | None = None) -> list[torch.Tensor]:
        images, labels = (x, y) if seed is None else (x[seed].detach().requires_grad_(), y[seed])
        logits = model(images)
        return [logits, *torch.autograd.grad(cross_entropy(logits, labels).sum(), [images, *network.parameters()])]

    torch.testing.assert_close(gradients(Products(together), together), gradients(together, together))
    torch.testing.assert_close(gradients(Products(plain[1]), plain[1], 1), gradients(plain[1], plain[1], 1))


def seen_by(form: str, network: nn.Sequential) -> nn.Module:
    """A network in one of its forms; `ensemble` is one of five."""
    if form == "ensemble":
        return Ensemble([network_of(NAMES[len(network)], seed).float() for seed in range(4)] + [network])
    return {"plain": lambda: network, "cpu": lambda: frozen(network), "products": lambda: Products(network)}[form]()


NAMES = {len(new_network(name)): name for name in PLAIN}
FORMS = ("plain", "cpu", "products", "ensemble")


def moved(form: str, network: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """Whether a step of FGSM goes up, down, or nowhere at a pixel."""
    model = seen_by(form, network)
    gradient, _ = input_gradient(model, per_seed(model, x), per_seed(model, y))
    return gradient.view(-1, *x.shape)[-1].sign()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("form", FORMS)
def test_a_pixel_without_gradient_does_not_move_and_the_others_as_in_float64(name: str, form: str) -> None:
    network = network_of(name)
    x = torch.zeros(16, 1, 28, 28, dtype=torch.float64)
    x[..., 9:19, 10:18] = torch.rand(10, 8, dtype=torch.float64)
    y = torch.arange(16) % 10
    exact = input_gradient(network, x, y)[0].sign()
    assert 0.1 < (exact == 0).double().mean() < 0.9
    steps = moved(form, network.float(), x.float(), y)
    assert (steps[exact == 0] == 0).all()
    assert (steps != exact).double().mean() < 1e-3, "rounding"


def on(device: str, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the form in training, as if the network were on that device."""
    monkeypatch.setattr(choice, "device_of", lambda model: device)
    return type(choice.in_training(network)).__name__


def test_where_convolutions_make_noise_of_zeros_a_known_network_is_computed_by_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on("mps", new_network("madry_cnn"), monkeypatch) == "Products"
    assert on("cuda", new_network("madry_cnn").double(), monkeypatch) == "Products"
    assert on("cpu", new_network("madry_cnn"), monkeypatch) == "Sequential"


@pytest.mark.parametrize(("name", "form"), [("small_cnn", "SmallCnn"), ("madry_cnn", "MadryCnn")])
def test_a_known_network_goes_by_the_kernels_on_cuda_alone_and_in_float32_alone(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton", reason="Triton is not installed, as on a system other than Linux")
    network = new_network(name)
    assert on("cuda", network, monkeypatch) == on("cuda", Ensemble([network]), monkeypatch) == form
    assert on("mps", network, monkeypatch) == on("cuda", network.double(), monkeypatch) == "Products"


def test_a_network_computed_by_the_kernels_is_trained_by_theirs_and_any_other_by_torch_s_adam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("triton", reason="Triton is not installed, as on a system other than Linux")
    from advtrain.fast.adam import Adam

    network = new_network("small_cnn")
    monkeypatch.setattr(choice, "device_of", lambda model: "cuda")
    assert choice.adam(network) is choice.adam(Ensemble([network])) is choice.adam(new_network("madry_cnn")) is Adam
    assert choice.adam(network[:2]) is choice.adam(network.double()) is torch.optim.Adam
    monkeypatch.setattr(choice, "device_of", lambda model: "cpu")
    assert choice.adam(new_network("small_cnn")) is torch.optim.Adam


@pytest.mark.parametrize("name", PLAIN)
def test_a_loss_with_a_gradient_in_it_has_that_of_float64_whatever_the_form_in_training(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GradAlign's penalty, where the kernels know no second derivative."""
    pytest.importorskip("triton", reason="Triton is not installed, as on a system other than Linux")
    network = network_of(name).float()
    x, y = torch.rand(2, 1, 28, 28).requires_grad_(), torch.tensor([1, 2])

    def of_a_gradient(model: nn.Module, x: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(cross_entropy(model(x), y).sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), network[0].weight)[0]

    monkeypatch.setattr(choice, "device_of", lambda model: "cuda")
    noisy = NoisyZeros(choice.in_training(network), SeededRandom([1], torch.device("cpu")))
    found = of_a_gradient(choice.twice_differentiable(noisy), x)
    torch.testing.assert_close(found, of_a_gradient(network.double(), x.double()).float(), rtol=1e-4, atol=1e-5)


def test_an_unknown_network_is_left_as_it_is_and_that_its_zeros_are_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Tanh())
    with pytest.warns(UserWarning, match="zeros of this network's input gradient may come out as noise"):
        assert on("cuda", network, monkeypatch) == "Sequential"


def test_a_watched_network_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    network = new_network("small_cnn")
    network[0].register_forward_hook(lambda *arguments: None)
    assert on("cuda", network, monkeypatch) == "Sequential"
