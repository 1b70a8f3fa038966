"""madry_cnn by the kernels is the plain network, in Triton's interpreter; test_fast_small_cnn.py compiles its kernels too."""

import pytest
import torch

from advtrain.attacks.gradient import ascend, input_gradient
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import predict
from fast_networks import distance, gradients, images, networks, product

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="with a CUDA device, `make gpu` tests the kernels there")
kernels = pytest.importorskip("advtrain.fast.madry_cnn", reason="Triton is not installed, as on a system other than Linux")


@pytest.fixture(autouse=True)
def few_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreted operation takes a tenth of a millisecond, on however many numbers."""
    fewest = {
        "TILE": 4, "BLOCK1": 4, "BLOCK2": 4, "STEP": 32, "STEP_BACK": 64, "SPLITS": 2,
        "DENSE": 1024, "DENSE_BACK": 512, "TURN": 512,
    }  # fmt: skip
    for name, value in fewest.items():
        monkeypatch.setattr(f"advtrain.fast.madry_kernels.{name}", value)
    monkeypatch.setattr("triton.runtime.interpreter.np.matmul", product)


def test_logits_and_all_gradients_are_as_near_to_float64_as_those_of_autograd_and_zeros_are_kept() -> None:
    """Over the black background some units are on in all positions of a window, and the first wins."""
    generator = torch.Generator().manual_seed(5)
    network = Ensemble(networks("madry_cnn", 2, generator))
    x, y = images(2, 3, generator=generator)
    ours = gradients(kernels.MadryCnn(network), network, x, y, torch.float32)
    plain = gradients(network, network, x, y, torch.float32)
    exact = gradients(network.double(), network, x, y, torch.float64)
    for a, b, c in zip(ours, plain, exact, strict=True):
        assert a.shape == b.shape
        assert distance(a, c) < max(1e-6, 3 * distance(b, c))
        assert (a[c == 0] == 0).all()


def test_a_step_is_that_of_autograd_and_a_gradient_that_is_zero_moves_no_pixel() -> None:
    generator = torch.Generator().manual_seed(6)
    (network,) = networks("madry_cnn", 1, generator, highest=0.0)
    x, y = images(3, generator=generator)
    budget = {"epsilon": 0.3, "step_size": 0.1}
    x_adv, logits = ascend(kernels.MadryCnn(network).frozen(), x, x, y, **budget)
    torch.testing.assert_close(logits, network(x))
    torch.testing.assert_close(x_adv, ascend(network, x, x, y, **budget)[0])
    zero = input_gradient(network.double(), x.double(), y)[0] == 0
    assert 0.2 < zero.double().mean() < 0.9
    assert (x_adv == x)[zero].all()


def test_an_image_does_not_depend_on_its_batch() -> None:
    generator = torch.Generator().manual_seed(9)
    (network,) = networks("madry_cnn", 1, generator)
    x, _ = images(5, generator=generator)
    seen = kernels.MadryCnn(network).frozen()
    assert torch.equal(predict(seen, x[3:]), predict(seen, x)[3:])
