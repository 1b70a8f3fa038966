import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import bim, bim_steps, fgsm, input_gradient, project
from advtrain.system.errors import InputError
from synthetic import Linear, Noisy

TOLERANCE = 1e-6  # float32(0.3) is above 0.3


def images(n: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def labels(n: int = 8) -> Tensor:
    return torch.arange(n) % 10


def test_fgsm_of_a_linear_model_by_hand() -> None:
    model = Linear(torch.tensor([[[1.0, -2.0], [0.0, 3.0]]]))
    x = torch.tensor([[[[0.5, 0.5], [0.5, 0.1]]]])
    x_adv = fgsm(model, x, torch.tensor([0]), epsilon=0.2)
    # Label 0 is right where w.x > 0, so the loss grows against the signs of w; 0.1 - 0.2 stops at the box's face.
    assert torch.allclose(x_adv, torch.tensor([[[[0.3, 0.7], [0.5, 0.0]]]]), atol=1e-7)


def test_bim_of_a_linear_model_walks_one_step_an_iteration() -> None:
    model = Linear(torch.tensor([[[1.0, -1.0], [1.0, -1.0]]]))
    x = torch.full((1, 1, 2, 2), 0.5)
    walked = [
        x_adv[0, 0, 0, 0].item()
        for x_adv, _ in bim_steps(model, x, torch.tensor([1]), epsilon=0.3, step_size=0.1, iterations=5)
    ]
    assert walked == pytest.approx([0.6, 0.7, 0.8, 0.8, 0.8], abs=1e-6)


def test_bim_equals_the_paper_s_equation_written_out(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), labels()
    expected = x.clone()
    for _ in range(7):
        expected.requires_grad_()
        loss = sum(F.cross_entropy(smooth_model(expected[i : i + 1]), y[i : i + 1]) for i in range(len(x)))
        delta = torch.autograd.grad(loss, expected)[0].sign() * 0.03
        expected = (expected + delta).detach()
        for i in range(expected.numel()):
            low, high = max(0.0, x.view(-1)[i] - 0.1), min(1.0, x.view(-1)[i] + 0.1)
            expected.view(-1)[i] = min(max(expected.view(-1)[i].item(), low), high)
    found = bim(smooth_model, x, y, epsilon=0.1, step_size=0.03, iterations=7)
    assert (found - expected).abs().max() <= 1e-12


@pytest.mark.parametrize("iterations", [1, 2, 10, 30])
def test_bim_of_step_epsilon_over_n_reaches_epsilon_where_pixels_have_room(iterations: int) -> None:
    x = torch.full((1, 1, 3, 3), 0.5)
    x_adv = bim(
        Linear(torch.ones(1, 3, 3)), x, torch.tensor([1]), epsilon=0.3, step_size=0.3 / iterations, iterations=iterations
    )
    assert (x_adv - x).abs().max().item() == pytest.approx(0.3, abs=TOLERANCE)


def test_n_iterations_give_n_iterates_and_the_logits_they_started_from(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), labels()
    steps = list(bim_steps(smooth_model, x, y, epsilon=0.2, step_size=0.05, iterations=4))
    assert len(steps) == 4
    starts = [x, *(x_adv for x_adv, _ in steps)]
    for start, (_, logits) in zip(starts, steps, strict=False):
        assert torch.equal(logits, smooth_model(start).detach())


def test_fgsm_is_bim_of_one_step(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), labels()
    assert torch.equal(fgsm(smooth_model, x, y, epsilon=0.1), bim(smooth_model, x, y, epsilon=0.1, step_size=0.1, iterations=1))


@given(
    seed=st.integers(0, 1000),
    epsilon=st.floats(0.01, 1.0),
    step=st.floats(0.01, 1.0),
    iterations=st.integers(1, 5),
)
def test_every_iterate_is_in_the_box_and_within_epsilon(seed: int, epsilon: float, step: float, iterations: int) -> None:
    model = Linear(torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(seed)))
    x = images(4, seed).round(decimals=1)
    y = torch.tensor([0, 1, 0, 1])
    for x_adv, _ in bim_steps(model, x, y, epsilon=epsilon, step_size=step, iterations=iterations):
        assert x_adv.isfinite().all()
        assert x_adv.min() >= 0
        assert x_adv.max() <= 1
        assert (x_adv - x).abs().max() <= epsilon + TOLERANCE
        assert x_adv.dtype == torch.float32


@given(seed=st.integers(0, 1000), epsilon=st.floats(0.0, 1.0))
def test_projection_is_idempotent_and_leaves_what_is_inside(seed: int, epsilon: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 1, 4, 4, generator=generator, dtype=torch.float64)
    anywhere = 3 * torch.randn(2, 1, 4, 4, generator=generator, dtype=torch.float64)
    once = project(anywhere, x, epsilon)
    assert torch.equal(project(once, x, epsilon), once)
    inside = (x + epsilon * torch.rand(x.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    assert torch.allclose(project(inside, x, epsilon), inside, atol=1e-15)


def test_an_attack_raises_the_loss(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), labels()
    x_adv = bim(smooth_model, x, y, epsilon=0.1, step_size=0.02, iterations=5)
    before, after = (F.cross_entropy(smooth_model(images), y, reduction="none") for images in (x, x_adv))
    assert (after > before).all()


def test_an_image_s_adversarial_example_does_not_depend_on_its_batch(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), labels()
    together = bim(smooth_model, x, y, epsilon=0.1, step_size=0.02, iterations=5)
    alone = [bim(smooth_model, x[i : i + 1], y[i : i + 1], epsilon=0.1, step_size=0.02, iterations=5) for i in range(8)]
    assert (together - torch.cat(alone)).abs().max() <= 1e-12


def test_tiny_gradients_keep_their_signs_in_large_batches() -> None:
    """A mean over the batch would divide the gradient by its size, and round the smallest to zero."""
    model = Linear(torch.full((1, 2, 2), 1e-42))
    x = torch.full((4096, 1, 2, 2), 0.5)
    gradient, _ = input_gradient(model, x, torch.ones(4096, dtype=torch.int64))
    assert (gradient != 0).all()


def test_an_attack_leaves_no_trace_in_the_model_or_the_random_state() -> None:
    torch.manual_seed(0)
    model = Noisy().train()
    model.frozen.eval()
    flags = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    x = images()
    first = bim(model, x, labels(), epsilon=0.1, step_size=0.05, iterations=3)
    assert torch.equal(first, bim(model, x, labels(), epsilon=0.1, step_size=0.05, iterations=3)), "seen in training mode"
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not x.requires_grad
    assert not first.requires_grad


def test_flags_come_back_when_the_model_fails() -> None:
    model = Noisy().train()
    with pytest.raises(RuntimeError):
        bim(model, torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), epsilon=0.1, step_size=0.1, iterations=1)
    assert model.training
    assert model.norm.training


@pytest.mark.parametrize(
    ("budget", "named"),
    [
        ({"epsilon": 0.0, "step_size": 0.1, "iterations": 1}, "epsilon is 0.0"),
        ({"epsilon": -0.3, "step_size": 0.1, "iterations": 1}, "epsilon is -0.3"),
        ({"epsilon": 76.5, "step_size": 0.1, "iterations": 1}, "epsilon is 76.5"),
        ({"epsilon": math.nan, "step_size": 0.1, "iterations": 1}, "epsilon is nan"),
        ({"epsilon": 0.3, "step_size": 0.0, "iterations": 1}, "step_size is 0.0"),
        ({"epsilon": 0.3, "step_size": 0.1, "iterations": 0}, "iterations is 0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_by_name(budget: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        bim(Linear(torch.ones(1, 4, 4)), images(), labels() % 2, **budget)


def test_there_are_no_defaults_for_the_budget() -> None:
    with pytest.raises(TypeError):
        bim(Linear(torch.ones(1, 4, 4)), images(), labels() % 2)  # type: ignore[call-arg]
