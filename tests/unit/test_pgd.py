"""PGD from random starts, its losses, and the evaluation that it makes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from advtrain.evaluation.paper_attacks import paper_attacks as evaluation
from advtrain.attacks.gradient import LOSSES, Attacked, cross_entropy, input_gradient, margin, pgd, predict, random_starts
from advtrain.data.examples import Examples
from advtrain.system.errors import InputError
from advtrain.evaluation.paper_attacks import Pgd, strong
from advtrain.networks.plain import initialise, small_cnn
from advtrain.results.parquet import unpack_outcomes
from synthetic import Noisy

TOLERANCE = 1e-6  # float32(0.3) is above 0.3

BUDGET = {"epsilon": 0.3, "step_size": 0.1, "iterations": 3}
SETTINGS = {"iterations": 40, "step_factor": 2.5, "restarts": 10, "seed": 0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Images of 16 pixels, a third of them on the box's faces."""
    return (1.6 * torch.rand(n, 1, 4, 4, generator=generator(seed), dtype=dtype) - 0.3).clamp(0, 1)


def classifier(seed: int) -> nn.Module:
    """A small random network in float64, sure enough of itself that PGD of a small budget fools it on some images only."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    drawn = generator(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=drawn, dtype=torch.float64)
    return model


class Threshold(nn.Module):
    """Says 0 where an image's one pixel is above a half, else 1; a step against label 0 makes it darker. Counts its images."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        above = x.flatten(1).sum(dim=1) - 0.5
        return torch.stack([above, torch.zeros_like(above)], dim=1)


def levels(*brightness: float) -> Tensor:
    """Images of one pixel."""
    return torch.tensor(brightness).view(-1, 1, 1, 1)


def attack_levels(x: Tensor, starts: list[Tensor], step_size: float = 1e-9, iterations: int = 1) -> Attacked:
    """PGD on `Threshold`, by default with steps too small to matter, so that only the starts do."""
    budget = {"epsilon": 0.3, "step_size": step_size, "iterations": iterations}
    zeros = torch.zeros(len(x), dtype=torch.int64)
    return pgd(Threshold(), x, zeros, loss=cross_entropy, **budget, starts=starts, batch_size=len(x))


finite_logits = st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=5)


@given(logits=finite_logits, label=st.integers(0, 4))
def test_the_margin_is_above_0_where_the_model_is_wrong_and_below_where_it_is_right(logits: list[float], label: int) -> None:
    label %= len(logits)
    found = margin(torch.tensor([logits], dtype=torch.float64), torch.tensor([label])).item()
    others = logits[:label] + logits[label + 1 :]
    assert found == max(others) - logits[label]
    answer = torch.tensor([logits], dtype=torch.float64).argmax(dim=1).item()
    assert (answer != label) if found > 0 else (answer == label or found == 0), "at 0 two classes are equal"


def test_the_margin_takes_each_image_s_own_label() -> None:
    logits = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [1.0, 4.0, 2.0]])
    assert margin(logits, torch.tensor([0, 1, 2])).tolist() == [3.0, -2.0, 2.0]


class Sure(nn.Module):
    """Of an image's two pixels the brighter is its class; so sure that the cross-entropy is flat."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e4 * x.flatten(1)


def test_the_margin_has_a_slope_where_the_cross_entropy_is_flat() -> None:
    x, y = torch.tensor([[[[0.7, 0.3]]]]), torch.tensor([0])
    flat, _ = input_gradient(Sure(), x, y, cross_entropy)
    slope, _ = input_gradient(Sure(), x, y, margin)
    assert not flat.any()
    assert slope.flatten().tolist() == [-1e4, 1e4]


@pytest.mark.parametrize(("loss", "robust"), [("cross_entropy", True), ("margin", False)])
def test_pgd_ascends_the_loss_that_it_is_given(loss: str, robust: bool) -> None:
    x, y = torch.tensor([[[[0.7, 0.3]]]]), torch.tensor([0])
    assert pgd(Sure(), x, y, loss=LOSSES[loss], **BUDGET, starts=[x], batch_size=1).robust.tolist() == [[True], [robust]]


def test_a_prediction_is_made_in_evaluation_mode_without_a_graph_and_without_a_trace() -> None:
    model = Noisy().train()
    model.frozen.eval()
    flags = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    x = images(4, 0, torch.float32).requires_grad_()
    logits = predict(model, x)
    assert not logits.requires_grad
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(logits, model.eval()(x))


def test_starts_are_uniform_in_the_budget() -> None:
    x = torch.full((500, 1, 4, 4), 0.5, dtype=torch.float64)
    (start,) = random_starts(x, epsilon=0.3, restarts=1, generator=generator())
    noise = (start - x).flatten() / 0.3
    assert noise.abs().max() <= 1 + 1e-12
    # Of 8,000 draws, a tenth has a standard deviation of 27, and their mean one of 0.0065.
    assert all(abs(count - 800) < 4 * 27 for count in torch.histc(noise, bins=10, min=-1, max=1).tolist())
    assert noise.mean().abs() < 4 * 0.0065
    assert noise.unique().numel() == 8000, "each pixel has its own"


def test_starts_beyond_a_face_of_the_box_are_put_onto_it() -> None:
    x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 50, 50)
    (start,) = random_starts(x, epsilon=0.3, restarts=1, generator=generator())
    for face, image in enumerate(start):
        assert 0.45 < (image == face).float().mean() < 0.55
        assert (image - face).abs().max().item() == pytest.approx(0.3, abs=0.01)


@given(seed=st.integers(0, 1000), epsilon=st.floats(0.01, 1.0), restarts=st.integers(1, 3))
def test_starts_lie_in_the_box_and_within_epsilon(seed: int, epsilon: float, restarts: int) -> None:
    x = images(3, seed, torch.float32)
    starts = list(random_starts(x, epsilon=epsilon, restarts=restarts, generator=generator(seed)))
    assert len(starts) == restarts
    for start in starts:
        assert start.shape == x.shape
        assert start.dtype == torch.float32
        assert start.min() >= 0
        assert start.max() <= 1
        assert (start - x).abs().max() <= epsilon + TOLERANCE


def test_starts_repeat_for_a_seed_and_differ_between_restarts_and_seeds() -> None:
    def starts(seed: int, restarts: int = 3) -> list[Tensor]:
        return list(random_starts(images(2, 0), epsilon=0.3, restarts=restarts, generator=generator(seed)))

    assert all(torch.equal(one, other) for one, other in zip(starts(0), starts(0), strict=True))
    drawn = [*starts(0), *starts(1)]
    assert not any(torch.equal(drawn[i], drawn[j]) for i in range(6) for j in range(i))
    assert all(torch.equal(one, other) for one, other in zip(starts(0), starts(0, restarts=5), strict=False))


def test_the_worst_of_all_restarts_is_kept_whatever_their_order() -> None:
    x = levels(0.6, 0.9, 0.9)
    starts = [levels(0.55, 0.8, 0.9), levels(0.45, 0.7, 0.9), levels(0.58, 0.85, 0.9)]
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        attacked = attack_levels(x, [starts[i] for i in order])
        assert torch.allclose(attacked.x_adv, levels(0.45, 0.7, 0.9), atol=TOLERANCE)
        assert attacked.robust[-1].tolist() == [False, True, True]


def test_the_robust_mask_has_a_row_for_the_clean_images_and_each_restart() -> None:
    x = levels(0.6, 0.6, 0.6, 0.4)
    attacked = attack_levels(x, [levels(0.6, 0.4, 0.6, 0.6), levels(0.6, 0.6, 0.4, 0.6)])
    assert attacked.robust.tolist() == [[True, True, True, False], [True, False, True, False], [True, False, False, False]]


def test_an_image_is_fooled_by_any_iterate_and_by_its_start() -> None:
    class Band(nn.Module):
        """Wrong between 0.45 and 0.5 alone, though the loss grows down to 0."""

        def forward(self, x: Tensor) -> Tensor:
            level = x.flatten(1).sum(dim=1)
            wrong = (level > 0.45) & (level < 0.5)
            return torch.stack([level, 2.0 * wrong], dim=1)

    x = levels(0.58, 0.68, 0.58)
    starts = [levels(0.58, 0.68, 0.48)]
    budget = {"epsilon": 0.3, "step_size": 0.1, "iterations": 4}
    y = torch.zeros(3, dtype=torch.int64)
    attacked = pgd(Band(), x, y, loss=cross_entropy, **budget, starts=starts, batch_size=3)
    assert torch.allclose(attacked.x_adv, levels(0.48, 0.48, 0.48), atol=TOLERANCE)
    assert not attacked.robust[-1].any()


def test_the_last_iterate_is_looked_at() -> None:
    assert attack_levels(levels(0.75), [levels(0.75)], step_size=0.1, iterations=2).robust.tolist() == [[True], [True]]
    assert attack_levels(levels(0.75), [levels(0.75)], step_size=0.1, iterations=3).robust.tolist() == [[True], [False]]


def test_an_image_that_is_fooled_once_is_not_attacked_again() -> None:
    model = Threshold()
    x = levels(0.4, 0.55, 0.65, 0.75, 1.0)
    y = torch.zeros(5, dtype=torch.int64)
    pgd(model, x, y, loss=cross_entropy, **BUDGET, starts=[x, x], batch_size=5)
    # The clean images; the four that are right and what three steps leave of them, and a last look at the four; the last again.
    assert model.calls == [5, 4, 4, 3, 4, 1, 1, 1, 1]


def test_where_all_are_fooled_nothing_goes_through_the_model_again() -> None:
    model, x = Threshold(), levels(0.55, 0.6)
    pgd(model, x, torch.zeros(2).long(), loss=cross_entropy, **BUDGET, starts=[x, x, x], batch_size=2)
    assert model.calls == [2, 2, 2, 1, 2], "clean, steps from two images, two and one that is left, and a last look"


def test_an_image_that_left_as_fooled_counts_as_fooled_even_if_a_fuller_batch_rounds_otherwise() -> None:
    class Rounds(nn.Module):
        """Sums that round with the size of the batch, as those of a real network may."""

        def forward(self, x: Tensor) -> Tensor:
            level = x.flatten(1).sum(dim=1) + 1e-6 * len(x)
            return torch.stack([level - 0.5, torch.zeros_like(level)], dim=1)

    x = levels(0.55, 0.6999975, 0.9)
    attacked = pgd(Rounds(), x, torch.zeros(3).long(), loss=cross_entropy, **BUDGET, starts=[x], batch_size=3)
    assert attacked.robust[-1].tolist() == [False, False, True]


def test_starts_are_taken_one_at_a_time_and_may_be_none() -> None:
    x = levels(0.6, 0.4)
    attacked = attack_levels(x, [])
    assert attacked.robust.tolist() == [[True, False]]
    assert torch.equal(attacked.x_adv, x)


def test_an_image_that_is_wrong_when_clean_stays_as_it_is() -> None:
    x = levels(0.6, 0.4)
    attacked = attack_levels(x, [levels(0.45, 0.3)])
    assert attacked.x_adv[1].item() == x[1].item()
    assert not attacked.robust[:, 1].any()


problems = {"seed": st.integers(0, 1000), "epsilon": st.floats(0.02, 0.5), "loss": st.sampled_from(list(LOSSES.values()))}


def attack_at_random(seed: int, epsilon: float, loss: Callable, restarts: int = 3, batch_size: int = 12) -> tuple:
    """Model, images, labels (the model's own but for some) and what PGD makes of them."""
    model, x = classifier(seed), images(12, seed)
    y = predict(model, x).argmax(dim=1)
    y[::5] = (y[::5] + 1) % 3
    starts = random_starts(x, epsilon=epsilon, restarts=restarts, generator=generator(seed))
    budget = {"epsilon": epsilon, "step_size": epsilon / 2, "iterations": 3}
    return model, x, y, pgd(model, x, y, loss=loss, **budget, starts=starts, batch_size=batch_size)


@given(**problems)
def test_restarts_only_take_robustness_away_and_only_from_what_is_right(seed: int, epsilon: float, loss: Callable) -> None:
    model, x, y, attacked = attack_at_random(seed, epsilon, loss)
    assert attacked.robust.shape == (4, 12)
    assert torch.equal(attacked.robust[0], predict(model, x).argmax(dim=1) == y)
    assert (attacked.robust[1:] <= attacked.robust[:-1]).all()
    fewer = attack_at_random(seed, epsilon, loss, restarts=2)[-1]
    assert torch.equal(fewer.robust, attacked.robust[:3])


@given(**problems)
def test_the_examples_are_evidence_of_the_mask(seed: int, epsilon: float, loss: Callable) -> None:
    model, x, y, attacked = attack_at_random(seed, epsilon, loss)
    logits = predict(model, attacked.x_adv)
    assert torch.equal(logits.argmax(dim=1) == y, attacked.robust[-1])
    assert (margin(logits, y) >= margin(predict(model, x), y) - 1e-12).all()
    wrong = ~attacked.robust[0]
    assert torch.equal(attacked.x_adv[wrong], x[wrong])


@given(**problems, batch_size=st.integers(1, 13))
def test_the_outcome_does_not_depend_on_the_batch_size(seed: int, epsilon: float, loss: Callable, batch_size: int) -> None:
    whole, parts = (attack_at_random(seed, epsilon, loss, batch_size=size)[-1] for size in (12, batch_size))
    assert torch.equal(whole.robust, parts.robust)
    assert (whole.x_adv - parts.x_adv).abs().max() <= 1e-12


@given(
    seed=st.integers(0, 1000),
    epsilon=st.floats(0.01, 1.0),
    step=st.floats(0.01, 2.0),
    iterations=st.integers(1, 4),
    loss=st.sampled_from(list(LOSSES.values())),
)
def test_every_example_is_in_the_box_and_within_epsilon(
    seed: int, epsilon: float, step: float, iterations: int, loss: Callable
) -> None:
    model, x = classifier(seed).float(), images(6, seed, torch.float32)
    starts = random_starts(x, epsilon=epsilon, restarts=2, generator=generator(seed))
    budget = {"epsilon": epsilon, "step_size": step, "iterations": iterations}
    y = predict(model, x).argmax(dim=1)
    x_adv = pgd(model, x, y, loss=loss, **budget, starts=starts, batch_size=4).x_adv
    assert x_adv.shape == x.shape
    assert x_adv.dtype == torch.float32
    assert x_adv.isfinite().all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (x_adv - x).abs().max() <= epsilon + TOLERANCE


def test_a_restart_stays_in_the_budget_around_the_image_and_not_around_its_start() -> None:
    attacked = attack_levels(levels(1.0), [levels(0.8)], step_size=0.2, iterations=5)
    assert attacked.x_adv.item() == pytest.approx(0.7, abs=TOLERANCE)
    assert attacked.robust.all()


@pytest.mark.parametrize("loss", LOSSES)
def test_pgd_leaves_no_trace_in_the_model_the_images_or_the_random_state(loss: str) -> None:
    torch.manual_seed(0)
    model = Noisy().train()
    model.frozen.eval()
    flags = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    x = images(8, 0, torch.float32)
    before, y = x.clone(), predict(model, x).argmax(dim=1)

    def attack() -> Attacked:
        starts = random_starts(x, epsilon=0.3, restarts=2, generator=generator())
        return pgd(model, x, y, loss=LOSSES[loss], **BUDGET, starts=starts, batch_size=3)

    first, second = attack(), attack()
    assert torch.equal(first.x_adv, second.x_adv), "seen in training mode"
    assert torch.equal(first.robust, second.robust)
    assert not torch.equal(first.x_adv, x), "nothing was attacked"
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert not first.x_adv.requires_grad


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": -0.3}, "epsilon is -0.3"),
        ({"epsilon": 76.5}, "epsilon is 76.5"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"step_size": 0.0}, "step_size is 0.0"),
        ({"step_size": math.nan}, "step_size is nan"),
        ({"iterations": 0}, "iterations is 0"),
        ({"iterations": 2.5}, "iterations is 2.5"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    model, x = Threshold(), levels(0.6)
    with pytest.raises(InputError, match=named):
        pgd(model, x, torch.zeros(1).long(), loss=cross_entropy, **{**BUDGET, **wrong}, starts=[x], batch_size=1)
    assert model.calls == [], "nothing is computed before"


def test_the_configuration_s_step_is_its_factor_times_epsilon_over_the_iterations() -> None:
    attack = Pgd.from_settings(SETTINGS, 0.2, 250)
    assert attack == Pgd(epsilon=0.2, step_size=2.5 * 0.2 / 40, iterations=40, restarts=10, seed=0, batch_size=250)


@pytest.mark.parametrize("missing", SETTINGS)
def test_a_missing_setting_is_refused_by_name(missing: str) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != missing}
    with pytest.raises(InputError, match=f"PGD has {', '.join(settings)}; it needs iterations, step_factor, restarts and seed"):
        Pgd.from_settings(settings, 0.3, 250)


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="seed, momentum; it needs iterations, step_factor, restarts and seed"):
        Pgd.from_settings({**SETTINGS, "momentum": 0.9}, 0.3, 250)


@pytest.mark.parametrize("key", ["iterations", "restarts"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "10", None, True])
def test_a_count_that_is_none_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{key} is {value!r}; it has to be an integer of at least 1"):
        Pgd.from_settings({**SETTINGS, key: value}, 0.3, 250)


@pytest.mark.parametrize(
    ("key", "value"),
    [("step_factor", 0), ("step_factor", -2.5), ("step_factor", "2.5"), ("seed", -1), ("seed", 1.5), ("seed", None)],
)
def test_a_factor_or_seed_that_is_none_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{key} is {value!r}; it has to be"):
        Pgd.from_settings({**SETTINGS, key: value}, 0.3, 250)


@pytest.fixture
def attack() -> Pgd:
    """So weak that each restart of it fools the network on a few images more."""
    return Pgd(epsilon=0.01, step_size=0.005, iterations=1, restarts=3, seed=0, batch_size=40)


@pytest.fixture
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, generator())
    return network.eval()


@pytest.fixture
def data(examples: Examples, network: nn.Module) -> Examples:
    """Images that the network gets right, but for some."""
    y = predict(network, examples.x).argmax(dim=1)
    y[:9] = (y[:9] + 1) % 10
    return Examples(examples.x, y)


def test_both_losses_start_from_the_same_points_and_a_seed_repeats(
    attack: Pgd, network: nn.Module, data: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Tensor] = []

    def watched(*arguments: Any, **settings: Any) -> Attacked:
        settings["starts"] = list(settings["starts"])
        starts.append(torch.stack(settings["starts"]))
        return pgd(*arguments, **settings)

    monkeypatch.setattr(evaluation, "pgd", watched)
    found = [attack.attack(network, data, loss).robust for loss in ("cross_entropy", "margin", "cross_entropy")]
    assert torch.equal(starts[0], starts[1])
    assert torch.equal(found[0], found[2])
    dataclasses.replace(attack, seed=1).attack(network, data, "margin")
    assert not torch.equal(starts[0], starts[3])


def test_strong_has_each_loss_after_one_restart_and_all_and_the_worst_of_both(
    attack: Pgd, network: nn.Module, data: Examples
) -> None:
    rows = list(strong(network, data, attack))
    assert [(row["loss"], row["restarts"]) for row in rows] == [
        ("cross_entropy", 1),
        ("cross_entropy", 3),
        ("margin", 1),
        ("margin", 3),
        ("worst", 6),
    ]
    for row in rows:
        assert (row["attack"], row["epsilon"], row["step_size"]) == ("pgd", 0.01, 0.005)
        assert (row["iterations"], row["iterate"], row["examples"]) == (1, 1, 96)
    robust = {loss: attack.attack(network, data, loss).robust for loss in LOSSES}
    expected = [robust[loss][restarts] for loss in LOSSES for restarts in (1, 3)]
    expected.append(expected[1] & expected[3])
    assert 0 < expected[-1].sum() < expected[0].sum() < 87, "some withstand"
    for row, right in zip(rows, expected, strict=True):
        assert unpack_outcomes(row["outcomes"], 96).tolist() == right.tolist()
        assert row["correct"] == right.sum()
        assert row["accuracy"] == row["correct"] / 96


def test_the_worst_case_is_taken_image_by_image(
    attack: Pgd, network: nn.Module, data: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loss fools the model on images that the other does not."""
    planted = {"cross_entropy": [True, True, False, False], "margin": [True, False, True, False]}

    def planted_attack(self: Pgd, model: nn.Module, data: Examples, loss: str) -> Attacked:
        return Attacked(data.x, torch.tensor([[True] * 4] * 3 + [planted[loss]]))

    monkeypatch.setattr(Pgd, "attack", planted_attack)
    rows = list(strong(network, data.first(4), attack))
    assert [row["correct"] for row in rows] == [4, 2, 4, 2, 1]
    assert unpack_outcomes(rows[-1]["outcomes"], 4).tolist() == [True, False, False, False]


def test_one_restart_is_one_row_for_each_loss(attack: Pgd, network: nn.Module, data: Examples) -> None:
    rows = list(strong(network, data, dataclasses.replace(attack, restarts=1)))
    assert [(row["loss"], row["restarts"]) for row in rows] == [("cross_entropy", 1), ("margin", 1), ("worst", 2)]
