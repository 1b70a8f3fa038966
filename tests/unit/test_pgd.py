"""PGD from random starts, its losses, and the evaluation that it makes. What all attacks promise is in test_attacks.py."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from advtrain.attacks import pgd as module
from advtrain.attacks.gradient import LOSSES, cross_entropy, input_gradient, margin
from advtrain.attacks.pgd import Attacked, Pgd, falling_steps, pgd, random_starts
from advtrain.data.examples import Examples
from advtrain.evaluation.pgd import strong
from advtrain.evaluation.table import unpack_outcomes
from advtrain.networks.plain import predict


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Threshold(nn.Module):
    """Says 0 where an image's one pixel is above a half, else 1; a step against label 0 makes it darker."""

    def forward(self, x: Tensor) -> Tensor:
        above = x.flatten(1).sum(dim=1) - 0.5
        return torch.stack([above, torch.zeros_like(above)], dim=1)


def levels(*brightness: float) -> Tensor:
    """Images of one pixel."""
    return torch.tensor(brightness).view(-1, 1, 1, 1)


def attack_levels(
    x: Tensor, starts: list[Tensor], step_size: float = 1e-9, iterations: int = 1, model: nn.Module | None = None
) -> Attacked:
    """PGD on images of label 0; by default on `Threshold`, with steps too small to matter, so that only the starts do."""
    budget = {"epsilon": 0.3, "step_size": step_size, "iterations": iterations}
    y = torch.zeros(len(x), dtype=torch.int64)
    return pgd(model or Threshold(), x, y, loss=cross_entropy, **budget, starts=starts, batch_size=len(x))


@given(logits=st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=5))
def test_the_margin_is_above_0_where_the_model_is_wrong_and_below_where_it_is_right(logits: list[float]) -> None:
    classes = len(logits)
    batch = torch.tensor([logits] * classes, dtype=torch.float64)
    answer = batch[0].argmax().item()
    for label, found in enumerate(margin(batch, torch.arange(classes)).tolist()):
        assert found == max(logits[:label] + logits[label + 1 :]) - logits[label]
        assert (answer != label) if found > 0 else (answer == label or found == 0), "at 0 two classes are equal"


@pytest.mark.parametrize(("loss", "gradient", "robust"), [("cross_entropy", [0.0, 0.0], True), ("margin", [-1e4, 1e4], False)])
def test_pgd_ascends_the_loss_that_it_is_given_and_the_margin_does_not_go_flat(
    loss: str, gradient: list[float], robust: bool
) -> None:
    class Sure(nn.Module):
        """Of an image's two pixels the brighter is its class; so sure that the cross-entropy is flat."""

        def forward(self, x: Tensor) -> Tensor:
            return 1e4 * x.flatten(1)

    x, y, budget = torch.tensor([[[[0.7, 0.3]]]]), torch.tensor([0]), {"epsilon": 0.3, "step_size": 0.1, "iterations": 3}
    assert input_gradient(Sure(), x, y, LOSSES[loss])[0].flatten().tolist() == gradient
    assert pgd(Sure(), x, y, loss=LOSSES[loss], **budget, starts=[x], batch_size=1).robust.tolist() == [[True], [robust]]


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


def test_the_robust_mask_has_a_row_for_the_clean_images_and_each_restart() -> None:
    attacked = attack_levels(levels(0.6, 0.6, 0.6, 0.4), [levels(0.6, 0.4, 0.6, 0.6), levels(0.6, 0.6, 0.4, 0.6)])
    assert attacked.robust.tolist() == [[True, True, True, False], [True, False, True, False], [True, False, False, False]]


def test_an_image_is_fooled_by_any_iterate_and_by_its_start() -> None:
    class Band(nn.Module):
        """Wrong between 0.45 and 0.5 alone, though the loss grows down to 0."""

        def forward(self, x: Tensor) -> Tensor:
            level = x.flatten(1).sum(dim=1)
            wrong = (level > 0.45) & (level < 0.5)
            return torch.stack([level, 2.0 * wrong], dim=1)

    attacked = attack_levels(levels(0.58, 0.655, 0.58), [levels(0.58, 0.655, 0.48)], 0.1, iterations=4, model=Band())
    assert torch.allclose(attacked.x_adv, levels(0.48, 0.48, 0.48), atol=1e-6)
    assert not attacked.robust[-1].any()


def test_the_last_iterate_is_looked_at() -> None:
    assert attack_levels(levels(0.65), [levels(0.65)], 0.1, iterations=1).robust.tolist() == [[True], [True]]
    assert attack_levels(levels(0.65), [levels(0.65)], 0.11, iterations=2).robust.tolist() == [[True], [False]]


class Watched(Threshold):
    """Never fooled: always sure of 0. Keeps the level of each image that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.flatten()[0].item())
        return super().forward(x) + torch.tensor([9.0, 0.0])


def test_the_steps_fall_in_a_line_from_the_first_and_one_more_would_be_0() -> None:
    assert falling_steps(0.4, 4) == pytest.approx([0.4, 0.3, 0.2, 0.1])
    model = Watched()
    attack_levels(levels(0.9), [levels(0.9)], 0.1, iterations=4, model=model)
    assert model.seen[1:] == pytest.approx([0.9, 0.8, 0.725, 0.675, 0.65]), "after the clean images, each iterate"


def test_a_walk_takes_these_steps_from_the_images_themselves() -> None:
    model = Watched()
    attack = Pgd(epsilon=0.3, step_size=0.1, iterations=4, restarts=1, seed=0, batch_size=1)
    end = attack.walk(model, levels(0.9), torch.tensor([0])).item()
    assert [*model.seen, end] == pytest.approx([0.9, 0.8, 0.725, 0.675, 0.65])


def test_an_image_that_left_as_fooled_counts_as_fooled_even_if_a_fuller_batch_rounds_otherwise() -> None:
    class Rounds(nn.Module):
        """Sums that round with the size of the batch, as those of a real network may."""

        def forward(self, x: Tensor) -> Tensor:
            level = x.flatten(1).sum(dim=1) + 1e-6 * len(x)
            return torch.stack([level - 0.5, torch.zeros_like(level)], dim=1)

    x = levels(0.55, 0.5 + 0.1 + 0.2 / 3 - 2.5e-6, 0.9)
    assert attack_levels(x, [x], 0.1, iterations=3, model=Rounds()).robust[-1].tolist() == [False, False, True]


problems = {"seed": st.integers(0, 1000), "epsilon": st.floats(0.02, 0.5), "loss": st.sampled_from(list(LOSSES.values()))}


def attack_at_random(
    seed: int, epsilon: float, loss: Callable, restarts: int = 3, batch_size: int = 12
) -> tuple[nn.Module, Tensor, Tensor, Attacked]:
    """A small random model, images, labels (the model's own but for some), and what PGD makes of them; all in float64."""
    drawn = generator(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=drawn, dtype=torch.float64)
    x = (1.6 * torch.rand(12, 1, 4, 4, generator=drawn, dtype=torch.float64) - 0.3).clamp(0, 1)
    y = predict(model, x).argmax(dim=1)
    y[::5] = (y[::5] + 1) % 3
    starts = random_starts(x, epsilon=epsilon, restarts=restarts, generator=drawn)
    budget = {"epsilon": epsilon, "step_size": epsilon / 2, "iterations": 3}
    return model, x, y, pgd(model, x, y, loss=loss, **budget, starts=starts, batch_size=batch_size)


@given(**problems)
def test_restarts_only_take_robustness_away_and_only_from_what_is_right(seed: int, epsilon: float, loss: Callable) -> None:
    model, x, y, attacked = attack_at_random(seed, epsilon, loss)
    assert torch.equal(attacked.robust[0], predict(model, x).argmax(dim=1) == y)
    assert (attacked.robust[1:] <= attacked.robust[:-1]).all()
    fewer = attack_at_random(seed, epsilon, loss, restarts=2)[-1]
    assert torch.equal(fewer.robust, attacked.robust[:3])


@given(**problems)
def test_the_examples_are_evidence_of_the_mask(seed: int, epsilon: float, loss: Callable) -> None:
    model, x, y, attacked = attack_at_random(seed, epsilon, loss)
    logits, wrong = predict(model, attacked.x_adv), ~attacked.robust[0]
    assert torch.equal(logits.argmax(dim=1) == y, attacked.robust[-1])
    assert (margin(logits, y) >= margin(predict(model, x), y) - 1e-12).all()
    assert torch.equal(attacked.x_adv[wrong], x[wrong])


@given(**problems, batch_size=st.integers(1, 13))
def test_the_outcome_does_not_depend_on_the_batch_size(seed: int, epsilon: float, loss: Callable, batch_size: int) -> None:
    whole, parts = (attack_at_random(seed, epsilon, loss, batch_size=size)[-1] for size in (12, batch_size))
    assert torch.equal(whole.robust, parts.robust)
    assert (whole.x_adv - parts.x_adv).abs().max() <= 1e-12


ATTACK = Pgd(epsilon=0.2, step_size=0.05, iterations=4, restarts=3, seed=0, batch_size=40)


def test_both_losses_start_from_the_same_points_and_another_seed_from_others(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Tensor] = []
    monkeypatch.setattr(module, "pgd", lambda *arguments, **settings: starts.append(torch.stack(list(settings["starts"]))))
    for seed, loss in ((0, "cross_entropy"), (0, "margin"), (1, "margin")):
        dataclasses.replace(ATTACK, seed=seed).attack(Threshold(), examples, loss)
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    assert not torch.equal(starts[0][0], starts[0][1]), "each restart has its own"


def test_strong_has_each_loss_after_one_restart_and_all_and_the_worst_of_both_image_by_image(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loss fools the model on an image that the other does not."""
    masks = {
        "cross_entropy": torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]).bool(),
        "margin": torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [1, 0, 1, 1, 0], [1, 0, 1, 0, 0]]).bool(),
    }
    monkeypatch.setattr(Pgd, "attack", lambda pgd, model, data, loss: Attacked(data.x, masks[loss][: pgd.restarts + 1]))
    rows = list(strong(Threshold(), examples.first(5), ATTACK))
    expected = {(loss, restarts): masks[loss][restarts] for loss in LOSSES for restarts in (1, 3)}
    expected["worst", 6] = torch.tensor([True, False, False, False, False])
    assert [(row["loss"], row["restarts"]) for row in rows] == list(expected)
    for row, right in zip(rows, expected.values(), strict=True):
        assert unpack_outcomes(row["outcomes"], 5).tolist() == right.tolist()
        assert (row["correct"], row["accuracy"], row["examples"]) == (right.sum(), pytest.approx(right.sum() / 5), 5)
        assert (row["attack"], row["epsilon"], row["step_size"]) == ("pgd", 0.2, 0.05)
        assert (row["iterations"], row["iterate"]) == (4, 4)
    once = strong(Threshold(), examples.first(5), dataclasses.replace(ATTACK, restarts=1))
    assert [(row["loss"], row["restarts"]) for row in once] == [("cross_entropy", 1), ("margin", 1), ("worst", 2)]


def test_a_run_that_was_killed_between_the_losses_ends_with_the_same_rows() -> None:
    class Bright(nn.Module):
        """Says 0 where an image is bright on average, else 1."""

        def forward(self, x: Tensor) -> Tensor:
            return Threshold()(x.mean(dim=(1, 2, 3), keepdim=True))

    data = Examples(levels(0.55, 0.65, 0.9).expand(3, 1, 28, 28).contiguous(), torch.zeros(3, dtype=torch.int64))
    attack, saved = dataclasses.replace(ATTACK, step_size=0.2), list[dict[str, Tensor]]()
    whole = list(strong(Bright(), data, attack, save=saved.append))
    assert whole[-1]["correct"] == 1, "0.55 and 0.65 are within 0.2 of 0.5"
    assert [list(state) for state in saved] == [["cross_entropy"], ["cross_entropy", "margin"]]
    resumed: list[dict[str, Tensor]] = []
    assert list(strong(Bright(), data, attack, state=saved[0], save=resumed.append)) == whole
    assert [list(state) for state in resumed] == [["cross_entropy", "margin"]], "the first is not attacked again"
