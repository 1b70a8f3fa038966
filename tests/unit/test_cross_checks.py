"""Our attacks against those of foolbox and torchattacks, which two other groups wrote."""

import importlib
import warnings
from collections.abc import Callable

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from advtrain.attacks import pgd as module
from advtrain.attacks.gradient import bim, cross_entropy, fgsm, input_gradient, margin
from advtrain.attacks.pgd import pgd
from advtrain.networks.plain import initialise, predict, small_cnn
from agreement import agree

ITERATIONS = 8


Oracle = Callable[..., Tensor]
"""Adversarial examples of another library: the attack's name, a model, images, labels, and our settings by their names."""


def foolbox_oracle() -> Oracle:
    with warnings.catch_warnings():  # of scipy's, about an import
        warnings.simplefilter("ignore", DeprecationWarning)
        foolbox = importlib.import_module("foolbox")

    def attack(name: str, model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, **steps: float) -> Tensor:
        kind = {"fgsm": "LinfFastGradientAttack", "bim": "LinfBasicIterativeAttack", "pgd": "LinfPGD"}[name]
        theirs = {"step_size": "abs_stepsize", "iterations": "steps"}
        settings = {theirs[key]: value for key, value in steps.items()}
        run = getattr(foolbox.attacks, kind)(**settings, random_start=False)
        x_adv, _, _ = run(foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device), x, y, epsilons=epsilon)
        return x_adv

    return attack


def torchattacks_oracle() -> Oracle:
    def attack(name: str, model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, **steps: float) -> Tensor:
        theirs = {"step_size": "alpha", "iterations": "steps"}
        settings = {theirs[key]: value for key, value in steps.items()} | ({"random_start": False} if name == "pgd" else {})
        return getattr(torchattacks, name.upper())(model, eps=epsilon, **settings)(x, y)

    return attack


@pytest.fixture(scope="module", params=[foolbox_oracle, torchattacks_oracle])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    return request.param()


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture
def x(dtype: torch.dtype) -> Tensor:
    """Images as MNIST's: black borders, where the gradient is exactly zero, and within them a third on the box's faces."""
    within = torch.rand(30, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    return nn.functional.pad((1.6 * within - 0.3).clamp(0, 1), (4, 4, 4, 4)).to(dtype)


@pytest.fixture
def network(dtype: torch.dtype) -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network.to(dtype).eval()


@pytest.fixture
def y() -> Tensor:
    return torch.arange(30) % 10


def test_the_images_have_what_attacks_differ_in(network: nn.Module, x: Tensor, y: Tensor) -> None:
    gradient, _ = input_gradient(network, x, y)
    assert (gradient == 0).double().mean() > 0.1, "sign(0)"
    for face, outwards in ((0, -1), (1, 1)):
        assert ((x == face) & (gradient.sign() == outwards)).double().mean() > 0.03, "a step that leaves the box"


@pytest.mark.parametrize("epsilon", [0.3, 0.2])
def test_fgsm_is_theirs(oracle: Oracle, network: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> None:
    assert agree(fgsm(network, x, y, epsilon=epsilon), oracle("fgsm", network, x, y, epsilon=epsilon))


@pytest.mark.parametrize("epsilon", [0.3, 0.2])
@pytest.mark.parametrize("path", [1.0, 2.5], ids=["of the paper", "longer than epsilon"])
def test_bim_is_theirs(oracle: Oracle, network: nn.Module, x: Tensor, y: Tensor, epsilon: float, path: float) -> None:
    budget = {"epsilon": epsilon, "step_size": path * epsilon / ITERATIONS, "iterations": ITERATIONS}
    assert agree(bim(network, x, y, **budget), oracle("bim", network, x, y, **budget))


@pytest.mark.parametrize(("epsilon", "head_start"), [(0.3, 0.5), (0.2, 0.4)])
def test_pgd_of_equal_steps_without_a_random_start_is_theirs(
    oracle: Oracle, network: nn.Module, x: Tensor, epsilon: float, head_start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs of 0 to N steps are the iterates; ours takes the first that fools the model, else the last if it is the worst."""
    monkeypatch.setattr(module, "falling_steps", lambda step_size, iterations: [step_size] * iterations)
    with torch.no_grad():
        network[-1].bias[0] += head_start  # so that some images withstand
    y = torch.zeros(len(x), dtype=torch.int64)
    y[::10] = 9
    budget = {"epsilon": epsilon, "step_size": epsilon / ITERATIONS}
    iterates = [x] + [oracle("pgd", network, x, y, **budget, iterations=k) for k in range(1, ITERATIONS + 1)]
    margins = torch.stack([margin(predict(network, x_adv), y) for x_adv in iterates])
    fooled = margins > 0
    reached = torch.where(fooled.any(dim=0), fooled.int().argmax(dim=0), ITERATIONS)
    expected = torch.stack(iterates)[reached, torch.arange(len(x))]
    comparable = fooled.any(dim=0) | (margins.argmax(dim=0) == ITERATIONS)
    for kind in (fooled[0], fooled.any(dim=0) & ~fooled[0], comparable & ~fooled.any(dim=0)):
        assert kind.any(), "wrong when clean, fooled on the way, never fooled: all three have to be compared"

    attacked = pgd(network, x, y, loss=cross_entropy, **budget, iterations=ITERATIONS, starts=[x], batch_size=len(x))
    assert torch.equal(attacked.robust, torch.stack([~fooled[0], ~fooled.any(dim=0)]))
    assert agree(attacked.x_adv[comparable], expected[comparable])
