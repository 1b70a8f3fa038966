"""FGSM and BIM by hand, and what every attack promises."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks.gradient import (
    LOSSES,
    Loss,
    ascend,
    bim,
    bim_steps,
    cross_entropy,
    exact_cross_entropy,
    fgsm,
    project,
    within_budget,
)
from advtrain.attacks.pgd import pgd, random_starts
from advtrain.attacks.square import square
from advtrain.fast.form import Climber
from advtrain.networks.plain import initialise, predict
from advtrain.system.errors import InputError
from synthetic import Linear, Noisy

TOLERANCE = 1e-6  # float32(0.3) is above 0.3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images of 16 pixels, a third of them on the box's faces."""
    return (1.6 * torch.rand(n, 1, 4, 4, generator=generator(seed), dtype=dtype) - 0.3).clamp(0, 1)


LABELS = torch.arange(8)


def test_fgsm_of_a_linear_model_by_hand() -> None:
    model = Linear(torch.tensor([[[1.0, -2.0], [0.0, 3.0]]]))
    x = torch.tensor([[[[0.5, 0.5], [0.5, 0.1]]]])
    x_adv = fgsm(model, x, torch.tensor([0]), epsilon=0.2)
    # Label 0 is right where w.x > 0, so the loss grows against the signs of w; 0.1 - 0.2 stops at the box's face.
    assert torch.allclose(x_adv, torch.tensor([[[[0.3, 0.7], [0.5, 0.0]]]]), atol=1e-7)


def test_bim_of_a_linear_model_walks_one_step_an_iteration() -> None:
    model = Linear(torch.tensor([[[1.0, -1.0], [1.0, -1.0]]]))
    x = torch.full((1, 1, 2, 2), 0.5)
    steps = bim_steps(model, x, torch.tensor([1]), epsilon=0.3, step_size=0.1, iterations=5)
    assert [x_adv[0, 0, 0, 0].item() for x_adv, _ in steps] == pytest.approx([0.6, 0.7, 0.8, 0.8, 0.8], abs=1e-6)


def test_a_form_that_climbs_the_cross_entropy_itself_does_not_climb_another_loss() -> None:
    class Falling(Climber):
        """Climbs to the wrong side, so that one sees it."""

        def forward(self, x: Tensor) -> Tensor:
            return F.pad(x.flatten(1).sum(dim=1, keepdim=True), (0, 1))

        def ascend(self, start: Tensor, x: Tensor, y: Tensor, **budget: float) -> tuple[Tensor, Tensor]:
            return torch.ones_like(start), self(start)

    x, y = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    budget = {"epsilon": 0.1, "step_size": 0.1}
    ends = [ascend(Falling(), x, x, y, **budget, loss=LOSSES[loss])[0] for loss in ("cross_entropy", "margin")]
    assert [end.mean().item() for end in ends] == pytest.approx([1, 0.4])


def test_bim_equals_the_paper_s_equation_written_out(smooth_model: nn.Module) -> None:
    x, y = images(dtype=torch.float64), LABELS
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


def logits_of_margin(margin: float, seeds: int = 3) -> Tensor:
    """Logits [S, 8, 10] whose label's is above the highest other by `margin`, in float64 but exact in float32."""
    logits = torch.randn(seeds, len(LABELS), 10, generator=generator()).double()
    own = F.one_hot(LABELS, 10).bool().expand_as(logits)
    highest = logits.masked_fill(own, -torch.inf).amax(dim=-1, keepdim=True)
    return torch.where(own, highest + margin, logits).float().double()


def loss_and_gradient(loss: Loss, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of images in eight classes, for each of some seeds."""
    logits = logits.clone().requires_grad_()
    losses = loss(logits, LABELS.expand(logits.shape[:-1]))
    return losses.detach(), torch.autograd.grad(losses.sum(), logits)[0]


@pytest.mark.parametrize("margin", [-80.0, -5.0, 0.0, 5.0, 15.0, 20.0])
def test_the_exact_cross_entropy_is_that_of_torch_in_float64(margin: float) -> None:
    logits = logits_of_margin(margin)
    expected, found = loss_and_gradient(cross_entropy, logits), loss_and_gradient(exact_cross_entropy, logits)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("margin", [-80.0, 0.0, 5.0, 15.0, 20.0, 30.0, 60.0, 80.0])
def test_float32_rounds_the_exact_gradient_and_loses_no_term_of_it_however_sure_the_model_is(margin: float) -> None:
    """The reference is written out in float64 without a difference of near numbers."""
    logits = logits_of_margin(margin)
    own = F.one_hot(LABELS, 10).bool().expand_as(logits)
    odds = (logits - logits[own].view(3, 8, 1)).exp().masked_fill(own, 0)
    others = odds / (1 + odds.sum(dim=-1, keepdim=True))
    expected = torch.where(own, -others.sum(dim=-1, keepdim=True), others)
    losses, found = loss_and_gradient(exact_cross_entropy, logits.float())
    assert (losses.double() / odds.sum(dim=-1).log1p() - 1).abs().max() < 1e-4
    assert (found.double() / expected - 1).abs().max() < 1e-4
    assert (found.sum(dim=-1).abs() <= 1e-6 * found.abs().amax(dim=-1)).all(), "what the others gain the label loses"


def test_the_plain_gradient_of_a_sure_model_loses_the_label_s_term_in_float32() -> None:
    """So the exact form is not the same under another name; 1 - p is below the spacing of float32 at 1."""
    logits = logits_of_margin(20.0).float()
    _, plain = loss_and_gradient(cross_entropy, logits)
    own = F.one_hot(LABELS, 10).bool().expand_as(logits)
    assert (plain[own] == 0).all()
    assert (plain[~own] > 0).all()


def test_bim_ascends_the_loss_that_it_is_given() -> None:
    """On a sure model plain float32 sees the other class's logit alone, and here both rise together, the label's faster."""

    class Sure(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            brightness = x.flatten(1).sum(dim=1)
            return torch.stack([20 + 2 * brightness, brightness], dim=1)

    x, y = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    budget = {"epsilon": 0.1, "step_size": 0.1, "iterations": 1}
    ((plain, _),) = bim_steps(Sure(), x, y, **budget)
    ((exact, _),) = bim_steps(Sure(), x, y, **budget, loss=exact_cross_entropy)
    assert (plain > x).all()
    assert (exact < x).all(), "darker is less sure"


@pytest.mark.parametrize("n", [1, 2, 10, 30])
def test_bim_of_n_steps_of_epsilon_over_n_moves_some_pixel_by_all_of_epsilon(n: int) -> None:
    x = torch.full((1, 1, 3, 3), 0.5)
    x_adv = bim(Linear(torch.ones(1, 3, 3)), x, torch.tensor([1]), epsilon=0.3, step_size=0.3 / n, iterations=n)
    assert (x_adv - x).abs().max().item() == pytest.approx(0.3, abs=TOLERANCE)


@given(seed=st.integers(0, 1000), epsilon=st.floats(0.0, 1.0))
def test_projection_is_idempotent_and_leaves_what_is_inside(seed: int, epsilon: float) -> None:
    drawn = generator(seed)
    x = torch.rand(2, 1, 4, 4, generator=drawn, dtype=torch.float64)
    once = project(3 * torch.randn(x.shape, generator=drawn, dtype=torch.float64), x, epsilon)
    assert torch.equal(project(once, x, epsilon), once)
    inside = (x + epsilon * torch.rand(x.shape, generator=drawn, dtype=torch.float64)).clamp(0, 1)
    assert torch.allclose(project(inside, x, epsilon), inside, atol=1e-15)


def test_one_pixel_decides_whether_an_example_is_within_the_budget_and_the_box() -> None:
    x, x_adv = torch.full((2, 7, 1, 28, 28), 0.1)
    x[4, 0, 0, 0] = 0.95
    x_adv[:, 0, 0, 0] = torch.tensor([0.3, 0.31, 0.0, -0.05, 1.05, math.nan, math.inf])
    assert within_budget(x_adv, x, 0.2).tolist() == [True, False, True, False, False, False, False]


Attack = Callable[[nn.Module, Tensor, Tensor, float, float, int], Tensor]
"""Adversarial examples [m * n, C, H, W] of a model, n images and labels, with epsilon, step size and iterations."""


def starts_of(x: Tensor, epsilon: float) -> list[Tensor]:
    return list(random_starts(x, epsilon=epsilon, restarts=2, generator=generator()))


def pgd_on(loss: str) -> Attack:
    def attack(model: nn.Module, x: Tensor, y: Tensor, epsilon: float, step_size: float, iterations: int) -> Tensor:
        budget = {"epsilon": epsilon, "step_size": step_size, "iterations": iterations}
        return pgd(model, x, y, loss=LOSSES[loss], **budget, starts=starts_of(x, epsilon), batch_size=3).x_adv

    return attack


ATTACKS: dict[str, Attack] = {
    "FGSM": lambda model, x, y, epsilon, step_size, iterations: fgsm(model, x, y, epsilon=epsilon),
    "every iterate of BIM": lambda model, x, y, epsilon, step_size, iterations: torch.cat(
        [x_adv for x_adv, _ in bim_steps(model, x, y, epsilon=epsilon, step_size=step_size, iterations=iterations)]
    ),
    "random starts": lambda model, x, y, epsilon, step_size, iterations: torch.cat(starts_of(x, epsilon)),
    **{f"PGD on the {loss}": pgd_on(loss) for loss in LOSSES},
    "Square": lambda model, x, y, epsilon, step_size, iterations: square(
        model, x, y, epsilon=epsilon, queries=iterations, generator=generator(), batch_size=3
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@settings(max_examples=50)
@given(seed=st.integers(0, 1000), epsilon=st.floats(0.01, 1.0), step=st.floats(0.01, 2.0), iterations=st.integers(1, 5))
def test_adversarial_examples_are_float32_in_the_box_and_within_epsilon(
    attack: str, seed: int, epsilon: float, step: float, iterations: int
) -> None:
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), images(6, seed)
    initialise(model, generator(seed))
    y = predict(model, x).argmax(dim=1)
    x_adv = ATTACKS[attack](model, x, y, epsilon, step, iterations).view(-1, *x.shape)
    assert x_adv.dtype == torch.float32
    assert x_adv.isfinite().all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (x_adv - x).abs().max() <= epsilon + TOLERANCE


def all_that_an_attack_can_touch(model: nn.Module, x: Tensor) -> tuple[list[bytes], list[bool]]:
    tensors = [*model.state_dict().values(), x, torch.get_rng_state()]
    flags = [module.training for module in model.modules()] + [x.requires_grad]
    flags += [parameter.grad is None and parameter.requires_grad for parameter in model.parameters()]
    return [tensor.numpy().tobytes() for tensor in tensors], flags


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_leaves_no_trace_in_the_model_the_images_or_the_random_state(attack: str) -> None:
    torch.manual_seed(0)
    model, x = Noisy().train(), images()
    model.frozen.eval()
    y = predict(model, x).argmax(dim=1)
    before = all_that_an_attack_can_touch(model, x)
    first, second = (ATTACKS[attack](model, x, y, 0.3, 0.1, 3) for _ in range(2))
    assert torch.equal(first, second), "the model is seen in training mode"
    assert (first.view(-1, *x.shape) != x).any(), "nothing was attacked"
    assert not first.requires_grad
    assert all_that_an_attack_can_touch(model, x) == before


def test_the_model_s_flags_come_back_when_it_fails() -> None:
    model = Noisy().train()
    with pytest.raises(RuntimeError):
        bim(model, torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), epsilon=0.1, step_size=0.1, iterations=1)
    assert model.training
    assert model.norm.training


BUDGETS = {
    fgsm: {"epsilon": 0.3},
    bim: {"epsilon": 0.3, "step_size": 0.1, "iterations": 1},
    pgd: {"epsilon": 0.3, "step_size": 0.1, "iterations": 1, "loss": cross_entropy, "starts": [], "batch_size": 8},
    square: {"epsilon": 0.3, "queries": 1, "generator": torch.Generator(), "batch_size": 8},
}
WRONG = [("epsilon", value) for value in (0.0, -0.3, 76.5, math.nan)] + [("step_size", value) for value in (0.0, math.nan)]
WRONG += [(count, value) for count in ("iterations", "queries") for value in (0, 2.5)]


@pytest.mark.parametrize(
    ("attack", "key", "value"),
    [(attack, key, value) for attack, takes in BUDGETS.items() for key, value in WRONG if key in takes],
)
def test_a_budget_that_makes_no_sense_is_refused_by_name(attack: Callable[..., object], key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{key} is {value}"):
        attack(None, images(), LABELS, **{**BUDGETS[attack], key: value})
