"""small_cnn by the kernels is the plain network, in Triton's interpreter; they compile for the GPUs that Triton knows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import trainings
from advtrain.attacks.gradient import LOSSES, ascend, bim, input_gradient
from advtrain.data.examples import Examples
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import predict
from advtrain.training.trainer import Trainer
from fast_networks import distance, gradients, images, networks, product

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="with a CUDA device, `make gpu` tests the kernels there")
kernels = pytest.importorskip("advtrain.fast.small_cnn", reason="Triton is not installed, as on a system other than Linux")
adam = pytest.importorskip("advtrain.fast.adam", reason="Triton is not installed, as on a system other than Linux")


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreted program takes milliseconds for each of its images."""
    monkeypatch.setattr("advtrain.fast.attack_kernels.TILE", 16)
    monkeypatch.setattr("advtrain.fast.training_kernels.BLOCK", 16)
    monkeypatch.setattr("advtrain.fast.training_kernels.SHARES", 1)
    monkeypatch.setattr("triton.runtime.interpreter.np.matmul", product)


def test_logits_and_all_gradients_are_as_near_to_float64_as_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(5)
    network = Ensemble(networks("small_cnn", 2, generator))
    x, y = images(2, 3, generator=generator)
    ours = gradients(kernels.SmallCnn(network), network, x, y, torch.float32)
    plain = gradients(network, network, x, y, torch.float32)
    exact = gradients(network.double(), network, x, y, torch.float64)
    for a, b, c in zip(ours, plain, exact, strict=True):
        assert a.shape == b.shape
        assert distance(a, c) < max(1e-6, 3 * distance(b, c))


def test_a_step_is_that_of_autograd_and_a_gradient_that_is_zero_moves_no_pixel() -> None:
    generator = torch.Generator().manual_seed(6)
    (network,) = networks("small_cnn", 1, generator)
    x, y = images(5, generator=generator)
    budget = {"epsilon": 0.3, "step_size": 0.1}
    x_adv, logits = ascend(kernels.SmallCnn(network).frozen(), x, x, y, **budget)
    torch.testing.assert_close(logits, network(x))
    torch.testing.assert_close(x_adv, ascend(network, x, x, y, **budget)[0])
    zero = input_gradient(network.double(), x.double(), y)[0] == 0
    assert 0.2 < zero.double().mean() < 0.9
    assert (x_adv == x)[zero].all()


def test_an_attack_of_several_steps_is_that_of_autograd() -> None:
    generator = torch.Generator().manual_seed(7)
    (network,) = networks("small_cnn", 1, generator)
    x, y = images(3, generator=generator)
    budget = {"epsilon": 0.08, "step_size": 0.05, "iterations": 2}  # the second step is projected
    reached, expected = bim(kernels.SmallCnn(network).frozen(), x, y, **budget), bim(network, x, y, **budget)
    assert ((reached - expected).abs() > 1e-6).double().mean() < 1e-3


def test_an_image_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(9)
    (network,) = networks("small_cnn", 1, generator)
    x, _ = images(18, generator=generator)
    seen = kernels.SmallCnn(network).frozen()
    whole = predict(seen, x)
    monkeypatch.setattr("advtrain.fast.attack_kernels.LARGE", 1)  # tiles of twice as many images
    assert torch.equal(predict(seen, x[16:]), whole[16:])


def test_other_losses_get_their_gradients_from_autograd() -> None:
    generator = torch.Generator().manual_seed(10)
    (network,) = networks("small_cnn", 1, generator)
    x, y = images(3, generator=generator)
    ours, _ = input_gradient(kernels.SmallCnn(network).frozen(), x, y, LOSSES["margin"])
    plain, _ = input_gradient(network, x, y, LOSSES["margin"])
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize(("defense", "seeds"), [("proposed", [0, 1]), ("atda", [2])])
def test_a_training_by_the_kernels_is_the_plain_one(defense: str, seeds: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By SGD, since Adam makes whole steps of rounding."""
    plan = trainings.plan(defense, seeds=tuple(seeds), batch_size=4, optimiser="sgd", learning_rate=0.1)
    x, y = images(4, generator=torch.Generator().manual_seed(11))
    data = Examples(x, y)
    plain = Trainer(plan, data, seeds)
    monkeypatch.setattr("advtrain.training.trainer.in_training", kernels.SmallCnn)
    quick = Trainer(plan, data, seeds)
    order = plain.start_epoch(0)
    assert torch.equal(quick.start_epoch(0), order)
    for ours, expected in zip(quick.minibatches(order), plain.minibatches(order), strict=True):
        torch.testing.assert_close(quick.run_step(ours), plain.run_step(expected))
    for ours, expected in zip(quick.network.parameters(), plain.network.parameters(), strict=True):
        assert distance(ours, expected) < 1e-5


@pytest.mark.parametrize("on_device", [False, True])
def test_adam_is_that_of_torch(on_device: bool) -> None:
    """A tensor has one program, or two, the second not full."""
    generator = torch.Generator().manual_seed(12)
    start = [torch.randn(shape, generator=generator) for shape in ((3, 5), (1500,), (1024,), (7,))]
    settings = {"lr": torch.tensor(0.01) if on_device else 0.01, "weight_decay": 0.02}
    results = []
    for kind, more in ((adam.Adam, {}), (torch.optim.Adam, {"fused": True})):
        weights = [weight.clone().requires_grad_() for weight in start]
        optimiser = kind(weights, **settings, **more)
        for step in range(3):
            for weight in weights:
                weight.grad = (weight.detach() + step) ** 3
            optimiser.step()
        results.append((weights, optimiser.state_dict()["state"]))
    (ours, our_state), (expected, state) = results
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(our_state, state, check_device=False)


def test_each_kernel_compiles_as_the_product_launches_it() -> None:
    """For Ampere, Hopper and Blackwell. It needs no GPU."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "TRITON_INTERPRET": "0"}
    for capability in ("80", "90", "100"):
        done = subprocess.run(
            [sys.executable, root / "tests/compile_kernels.py", capability], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "SmallCnn finish_kernel" in done.stdout
        assert "MadryCnn ascend_kernel" in done.stdout
        assert all(int(line.split()[-1]) < 100_000 for line in done.stdout.splitlines())
