"""The audit itself is checked: models built to be broken are caught by the check meant for them, and a sound one passes."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from advtrain.report.audit_page import measure as checks
from advtrain.attacks.gradient import bim
from advtrain.audit.measure import MEASURES, Subject
from advtrain.audit.criteria import CHECKS, FAIL, PASS
from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import Pgd, strong, sweep_bim, trace_bim
from advtrain.audit.finding import Measured
from advtrain.results.parquet import evaluation_row, evaluation_table, unpack_outcomes
from synthetic import synthetic_images

PGD = Pgd(epsilon=0.2, step_size=0.025, iterations=20, restarts=2, seed=0, batch_size=250)
BIM_ITERATIONS = 4
IMAGES = 500


class Prototypes(nn.Module):
    """Logits of the nearest class mean: no more robust than it looks, by its construction."""

    def __init__(self, data: Examples, scale: float = 2.0) -> None:
        super().__init__()
        self.means = torch.stack([data.x[data.y == label].mean(dim=0) for label in range(10)])
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return -self.scale * ((x.unsqueeze(1) - self.means) ** 2).flatten(2).sum(dim=2)


def audited(model: nn.Module, data: Examples) -> Subject:
    """The model with its evaluations, as the pipeline makes them."""
    rows = [
        *sweep_bim(model, data, epsilon=PGD.epsilon, iterations=[], batch_size=250),
        *trace_bim(model, data, epsilon=PGD.epsilon, iterations=BIM_ITERATIONS, batch_size=250),
        *strong(model, data, PGD),
    ]
    withstood = unpack_outcomes(rows[-1]["outcomes"], IMAGES)
    rows.append(evaluation_row("autoattack", withstood[: IMAGES // 2], epsilon=0.2, step_size=None, iterations=0))
    table = evaluation_table([{"dataset": "mnist", "defense": "vanilla", "seed": 0, **row} for row in rows])
    return Subject(model, data, table.to_pylist(), PGD, BIM_ITERATIONS, square_queries=100, noise_draws=2)


def verdict(check: str, subject: Subject) -> str:
    found = MEASURES[check](subject)
    return CHECKS[check].verdict(found.value, found.error)


@pytest.fixture(scope="module")
def data() -> Examples:
    """Images of many contrasts, so that some withstand an attack and others do not."""
    images, labels = synthetic_images(IMAGES, seed=0)
    contrast = torch.linspace(1, 0.2, IMAGES).view(-1, 1, 1, 1)
    x = (torch.from_numpy(images).unsqueeze(1) * contrast).round() / 255
    return Examples(x, torch.from_numpy(labels).long())


@pytest.fixture(scope="module")
def sound(data: Examples) -> Subject:
    return audited(Prototypes(data), data)


@pytest.mark.parametrize("check", MEASURES)
def test_a_sound_model_passes_every_check(check: str, sound: Subject) -> None:
    assert 0 < sound.right("pgd", loss="worst").mean() < 1, "neither trivially robust nor trivially broken"
    assert verdict(check, sound) == PASS, MEASURES[check](sound)


class Around(nn.Module):
    """A model with something done to its input or output."""

    def __init__(self, model: nn.Module, before: Callable = nn.Identity(), after: Callable = nn.Identity()) -> None:  # noqa: B008
        super().__init__()
        self.model, self.before, self.after = model, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.model(self.before(x)))


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


def beside_its_batch(x: Tensor) -> Tensor:
    return x - 0.5 * x.mean(dim=0, keepdim=True)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ("zero_gradients", lambda data: Around(Prototypes(data), after=lambda z: 1000 * z)),
        ("margin_loss_better", lambda data: Around(Prototypes(data), after=lambda z: 1000 * z)),
        ("zero_gradients", lambda data: Around(Prototypes(data), before=lambda x: (8 * x).round() / 8)),
        ("gradient_free_better", lambda data: Around(Prototypes(data), before=lambda x: (8 * x).round() / 8)),
        ("above_zero_at_one", lambda data: Around(Prototypes(data), before=lambda x: (8 * x).round() / 8)),
        ("not_deterministic", lambda data: Around(Prototypes(data), before=noisy)),
        ("not_logits", lambda data: Around(Prototypes(data), after=lambda z: z.softmax(dim=1))),
        ("not_batch_invariant", lambda data: Around(Prototypes(data), before=beside_its_batch)),
    ],
)
def test_a_broken_model_fails_the_check_meant_for_it(
    check: str, broken: Callable[[Examples], nn.Module], data: Examples
) -> None:
    subject = audited(broken(data), data)
    assert verdict(check, subject) == FAIL, MEASURES[check](subject)


def lost_step(model: nn.Module, x: Tensor, y: Tensor, *, iterations: int, **budget: float) -> Tensor:
    return bim(model, x, y, iterations=iterations - 1, **budget)


def unprojected(model: nn.Module, x: Tensor, y: Tensor, **budget: float) -> Tensor:
    return bim(model, x, y, **{**budget, "epsilon": 2 * budget["epsilon"], "step_size": 2 * budget["step_size"]})


@pytest.mark.parametrize(("check", "attack"), [("budget_not_reached", lost_step), ("outside_domain", unprojected)])
def test_a_broken_attack_fails_the_check_meant_for_it(
    check: str, attack: Callable, sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "bim", attack)
    assert verdict(check, sound) == FAIL, MEASURES[check](sound)


def with_outcomes(subject: Subject, attack: str, right: Tensor, **row: int | str) -> Subject:
    """The subject with another outcome of an evaluation."""
    wanted = {"attack": attack, **row}
    changed = evaluation_row(attack, right.numpy(), epsilon=0.2, step_size=0.2, iterations=1)
    outcome = {column: changed[column] for column in ("examples", "correct", "accuracy", "outcomes")}
    rows = [old | outcome if wanted.items() <= old.items() else old for old in subject.rows]
    assert rows != subject.rows
    return replace(subject, rows=rows)


EVERYTHING, NOTHING = torch.ones(IMAGES, dtype=torch.bool), torch.zeros(IMAGES, dtype=torch.bool)


@pytest.mark.parametrize(
    ("check", "attack", "right", "row"),
    [
        ("stronger_single_step", "bim", EVERYTHING, {"iterate": BIM_ITERATIONS}),
        ("restarts_matter", "pgd", EVERYTHING, {"loss": "cross_entropy", "restarts": 1}),
        ("margin_loss_better", "pgd", NOTHING, {"loss": "margin", "restarts": 2}),
        ("gradient_free_better", "pgd", EVERYTHING, {"loss": "worst"}),
        ("longer_pgd_better", "pgd", EVERYTHING, {"loss": "worst"}),
        ("other_step_better", "pgd", EVERYTHING, {"loss": "worst"}),
        ("autoattack_better", "autoattack", NOTHING, {}),
        ("silent_success", "bim", NOTHING, {"iterate": 1}),
        ("catastrophic_overfitting", "pgd", NOTHING, {"loss": "worst"}),
    ],
)
def test_a_figure_that_cannot_be_fails_the_check_meant_for_it(
    check: str, attack: str, right: Tensor, row: dict[str, int | str], sound: Subject
) -> None:
    if check == "catastrophic_overfitting":
        sound = with_outcomes(sound, "fgsm", EVERYTHING)
        sound = with_outcomes(sound, "pgd", EVERYTHING, loss="cross_entropy", restarts=1)
    subject = with_outcomes(sound, attack, right, **row)
    assert verdict(check, subject) == FAIL, MEASURES[check](subject)


def test_autoattack_is_compared_on_the_images_that_it_attacked(sound: Subject) -> None:
    one = torch.from_numpy(sound.right("autoattack"))
    one[one.nonzero()[0]] = False
    found = MEASURES["autoattack_better"](with_outcomes(sound, "autoattack", one))
    assert (found.value, found.examples) == (2 / IMAGES, IMAGES // 2)


def test_label_leaking_is_more_under_fgsm_than_on_clean_images(sound: Subject) -> None:
    subject = with_outcomes(with_outcomes(sound, "fgsm", EVERYTHING), "clean", NOTHING)
    assert verdict("label_leaking", subject) == FAIL


def test_noise_that_fools_where_pgd_does_not_is_seen(data: Examples, sound: Subject) -> None:
    """A model that gives up on whatever is no multiple of 1/255, and whose gradient says nothing of it."""

    class OnlyBytes(Prototypes):
        def forward(self, x: Tensor) -> Tensor:
            moved = ((255 * x - (255 * x).round()).abs() > 0.01).flatten(1).any(dim=1, keepdim=True).detach()
            return torch.where(moved, -1e6 * torch.eye(10)[data.y[0]], super().forward(x))

    subject = replace(with_outcomes(sound, "pgd", EVERYTHING, loss="worst"), model=OnlyBytes(data))
    assert verdict("noise_better", subject) == FAIL


def planted(subject: Subject, accuracies: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> list[Pgd]:
    """Let PGD's variants have planted accuracies, by what differs from the subject's PGD; gives the variants asked for."""
    asked = []

    def right_under(self: Subject, pgd: Pgd) -> np.ndarray:
        asked.append(pgd)
        changed = {name: getattr(pgd, name) for name in ("epsilon", "iterations") if getattr(pgd, name) != getattr(PGD, name)}
        if not changed and pgd.step_size != PGD.step_size:
            changed = {"step_size": pgd.step_size}
        key = ", ".join(f"{name} {value:g}" for name, value in changed.items())
        return np.arange(IMAGES) < accuracies.get(key, accuracies[""]) * IMAGES

    monkeypatch.setattr(Subject, "right_under", right_under)
    return asked


@pytest.mark.parametrize(
    ("check", "accuracies"),
    [
        ("budget_not_monotone", {"": 0.2, "epsilon 0.4": 0.6}),
        ("above_chance_at_half", {"": 0.0, "epsilon 0.5": 0.2}),
        ("above_zero_at_one", {"": 0.0, "epsilon 1": 0.1}),
        ("iterations_not_enough", {"": 0.2, "iterations 40": 0.1}),
        ("iterations_not_enough", {"": 0.2, "iterations 40": 0.3}),
        ("step_size_matters", {"": 0.2, "step_size 0.1": 0.3}),
        ("step_size_matters", {"": 0.2, "step_size 0.05": 0.1}),
    ],
)
def test_what_a_variant_of_pgd_gives_is_seen(
    check: str, accuracies: dict[str, float], sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(sound, accuracies, monkeypatch)
    assert verdict(check, sound) == FAIL
    planted(sound, {"": 0.0}, monkeypatch)
    assert verdict(check, sound) == PASS


def test_budgets_go_from_0_to_a_half_and_a_larger_one_has_a_larger_step(
    sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = planted(sound, {"": 0.1}, monkeypatch)
    MEASURES["budget_not_monotone"](sound)
    assert [(pgd.epsilon, pgd.step_size) for pgd in asked] == [
        (epsilon, pytest.approx(epsilon / 8)) for epsilon in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]


def test_what_is_beyond_pgd_is_looked_for_with_more_iterations_and_larger_steps(
    sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Subject, "newly_fooled", lambda self, attack: Measured(0.0, 0.0, 1))
    monkeypatch.setattr(checks, "_one_restart", lambda subject, pgd: asked.append(pgd))
    MEASURES["longer_pgd_better"](sound)
    MEASURES["other_step_better"](sound)
    assert asked == [replace(PGD, iterations=40), replace(PGD, step_size=0.05), replace(PGD, step_size=0.1)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_gradient_that_is_no_use_is_counted(value: float, sound: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        gradient = torch.ones_like(x)
        gradient[0] = value
        return gradient, model(x)

    monkeypatch.setattr(checks, "input_gradient", useless)
    assert MEASURES["zero_gradients"](sound).value == 2 / IMAGES, "one of each of two batches"


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
@pytest.mark.parametrize("wrong", [lambda x: x + 0.21, lambda x: x - 0.01 - x.max(), lambda x: x / 0 * 0, lambda x: x.double()])
def test_each_attack_is_held_to_the_domain(
    attack: str, wrong: Callable[[Tensor], Tensor], sound: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    if attack == "pgd":
        monkeypatch.setattr(Pgd, "attack", lambda self, model, data, loss: SimpleNamespace(x_adv=wrong(data.x)))
    else:
        monkeypatch.setattr(checks, attack, lambda model, x, y, **budget: wrong(x))
    assert verdict("outside_domain", sound) == FAIL


def test_noise_is_uniform_and_of_signs_and_the_worst_of_both_counts(sound: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(Subject, "logits", lambda self, x: seen.append(x) or Prototypes(self.data)(x))
    MEASURES["noise_better"](sound)
    assert len(seen) == 2 * sound.noise_draws + 1, "each kind in each draw, and the worst once more"
    index = sound.right("pgd", loss="worst").nonzero()[0]
    moved = (seen[1] - sound.data.x[index]).abs()
    edge = ((moved - PGD.epsilon).abs() < 1e-6) | (seen[1] == 0) | (seen[1] == 1)
    assert edge.all(), "the second is of signs"
    assert not (((seen[0] - sound.data.x[index]).abs() - PGD.epsilon).abs() < 1e-6).all(), "the first is not"


THRESHOLDS = {
    "stronger_single_step": 2.0,
    "budget_not_monotone": 0.0,
    "above_chance_at_half": 0.0,
    "above_zero_at_one": 0.0,
    "iterations_not_enough": 0.005,
    "step_size_matters": 0.005,
    "longer_pgd_better": 0.005,
    "other_step_better": 0.005,
    "restarts_matter": 0.005,
    "margin_loss_better": 0.01,
    "gradient_free_better": 0.002,
    "autoattack_better": 0.005,
    "transfer_better": 0.0,
    "noise_better": 0.0,
    "zero_gradients": 0.0,
    "not_logits": 0.0,
    "not_deterministic": 0.0,
    "not_batch_invariant": 1e-4,
    "label_leaking": 0.0,
    "catastrophic_overfitting": 0.2,
    "silent_success": 0.005,
    "outside_domain": 0.0,
    "budget_not_reached": 1e-4,
}


def test_the_thresholds_are_these() -> None:
    assert {name: check.threshold for name, check in CHECKS.items()} == THRESHOLDS


def test_every_check_of_one_model_has_its_criterion_and_transfer_is_the_only_other() -> None:
    assert set(CHECKS) - set(MEASURES) == {"transfer_better"}
    assert set(MEASURES) < set(CHECKS)


def test_checks_leave_the_evaluations_as_they_are(sound: Subject) -> None:
    before = deepcopy(sound.rows)
    for measure in MEASURES.values():
        measure(sound)
    assert sound.rows == before
