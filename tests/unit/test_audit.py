"""The audit itself is checked: models built to be broken are caught by the check meant for them, and a sound one passes."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import exact_cross_entropy
from advtrain.attacks.pgd import Pgd
from advtrain.audit import measure
from advtrain.audit.criteria import CHECKS, FAIL, PASS, WARN
from advtrain.audit.finding import difference
from advtrain.audit.measure import MEASURES, Audit, AuditedModel, measure_all
from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import FixedStep, Sweep, Trace, sweep_bim, trace_bim
from advtrain.evaluation.pgd import PgdSettings, strong
from advtrain.evaluation.table import evaluation_row, unpack_outcomes
from advtrain.networks.plain import PLAIN, initialise, new_network
from synthetic import synthetic_images

IMAGES = 500
ON_IMAGES = {"epsilon": 0.2, "examples": IMAGES, "subset_seed": 0}
SWEEP = Sweep(**ON_IMAGES, iterations=(), fixed_step=FixedStep(divisor=10, iterations=()))
TRACE = Trace(**ON_IMAGES, iterations=4)
AUDIT = Audit(
    **ON_IMAGES,
    pgd=PgdSettings(iterations=20, step_factor=1.0, restarts=2, seed=0),
    trace_iterations=TRACE.iterations,
    square_queries=100,
    noise_draws=2,
)
PGD = AUDIT.pgd.attack(0.2, 250)


class Prototypes(nn.Module):
    """Logits of the nearest class mean: no more robust than it looks, unless something is done to its input or output."""

    def __init__(self, data: Examples, before: Callable = nn.Identity(), after: Callable = nn.Identity()) -> None:  # noqa: B008
        super().__init__()
        self.means = torch.stack([data.x[data.y == label].mean(dim=0) for label in range(10)])
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(-((self.before(x).unsqueeze(1) - self.means) ** 2).flatten(2).sum(dim=2))


def audited(network: nn.Module, data: Examples) -> AuditedModel:
    """The model with its evaluations, as the pipeline makes them."""
    rows = [
        *sweep_bim(network, data, SWEEP, batch_size=250),
        *trace_bim(network, data, TRACE, batch_size=250),
        *strong(network, data, PGD),
    ]
    withstood = unpack_outcomes(rows[-1]["outcomes"], IMAGES)
    rows.append(evaluation_row("autoattack", withstood[: IMAGES // 2], epsilon=0.2, step_size=None, iterations=0))
    return AuditedModel(network, data, rows, AUDIT, batch_size=250)


def verdict(check: str, model: AuditedModel) -> str:
    found = MEASURES[check](model)
    return CHECKS[check].verdict(found.value, found.error)


@pytest.fixture(scope="module")
def data() -> Examples:
    """Images of high and of low contrast: some withstand every attack on either loss, the others none."""
    images, labels = synthetic_images(IMAGES, seed=0)
    contrast = torch.cat([torch.linspace(1, 0.9, IMAGES // 4), torch.linspace(0.7, 0.2, IMAGES - IMAGES // 4)])
    x = (torch.from_numpy(images).unsqueeze(1) * contrast.view(-1, 1, 1, 1)).round() / 255
    return Examples(x, torch.from_numpy(labels).long())


@pytest.fixture(scope="module")
def sound(data: Examples) -> AuditedModel:
    return audited(Prototypes(data), data)


def test_every_check_has_a_criterion_and_a_measure_but_for_transfer_which_takes_several_models() -> None:
    assert set(CHECKS) == {*MEASURES, "transfer_better"}


def test_the_thresholds_are_these_and_otherwise_0() -> None:
    half_a_percent = ("iterations_not_enough", "step_size_matters", "longer_pgd_better", "other_step_better")
    half_a_percent += ("restarts_matter", "autoattack_better", "silent_success")
    assert {name: check.threshold for name, check in CHECKS.items() if check.threshold} == {
        **dict.fromkeys(half_a_percent, 0.005),
        "stronger_single_step": 2.0,
        "precision": 0.001,
        "margin_loss_better": 0.01,
        "gradient_free_better": 0.002,
        "not_batch_invariant": 1e-4,
        "catastrophic_overfitting": 0.2,
    }


@pytest.mark.parametrize("check", MEASURES)
def test_a_sound_model_passes_every_check(check: str, sound: AuditedModel) -> None:
    assert 0 < sound.evaluated("pgd", loss="worst").mean() < 1, "neither trivially robust nor trivially broken"
    assert verdict(check, sound) == PASS, MEASURES[check](sound)


def test_checks_leave_the_evaluations_as_they_are(sound: AuditedModel) -> None:
    before = deepcopy(sound.rows)
    for check in MEASURES.values():
        check(sound)
    assert sound.rows == before


@pytest.mark.parametrize(
    ("checks", "done"),
    [
        (("zero_gradients", "margin_loss_better"), {"after": lambda z: 1000 * z}),
        (("precision",), {"after": lambda z: 3 * z}),
        (("zero_gradients", "gradient_free_better", "above_zero_at_one"), {"before": lambda x: (8 * x).round() / 8}),
        (("not_deterministic",), {"before": lambda x: x + 0.1 * torch.randn_like(x)}),
        (("not_logits",), {"after": lambda z: z.softmax(dim=1)}),
        (("not_batch_invariant",), {"before": lambda x: x - 0.5 * x.mean(dim=0, keepdim=True)}),
    ],
)
def test_a_broken_model_fails_the_checks_meant_for_it(
    checks: tuple[str, ...], done: dict[str, Callable], data: Examples
) -> None:
    model = audited(Prototypes(data, **done), data)
    assert {check: verdict(check, model) for check in checks} == dict.fromkeys(checks, FAIL)


Change = tuple[str, Tensor, dict[str, int | str]]
"""Of an evaluation: its attack, which images are right, and other columns that choose its row."""


def with_outcomes(model: AuditedModel, *changes: Change) -> AuditedModel:
    """The model with other outcomes of evaluations."""
    rows = model.rows
    for attack, right, where in changes:
        wanted = {"attack": attack, **where}
        other = evaluation_row(attack, right.numpy(), epsilon=0.2, step_size=0.2, iterations=1)
        outcome = {column: other[column] for column in ("examples", "correct", "accuracy", "outcomes")}
        rows = [old | outcome if wanted.items() <= old.items() else old for old in rows]
    assert rows != model.rows
    return replace(model, rows=rows)


ALL, NONE = torch.ones(IMAGES, dtype=torch.bool), torch.zeros(IMAGES, dtype=torch.bool)
WORST, ENTROPY_ONCE = {"loss": "worst"}, {"loss": "cross_entropy", "restarts": 1}


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("stronger_single_step", [("bim", ALL, {"iterate": TRACE.iterations})]),
        ("precision", [("fgsm", ALL, {})]),
        ("precision", [("bim", ALL, {"iterate": TRACE.iterations})]),
        ("restarts_matter", [("pgd", ALL, ENTROPY_ONCE)]),
        ("margin_loss_better", [("pgd", NONE, {"loss": "margin", "restarts": 2})]),
        ("gradient_free_better", [("pgd", ALL, WORST)]),
        ("longer_pgd_better", [("pgd", ALL, WORST)]),
        ("other_step_better", [("pgd", ALL, WORST)]),
        ("autoattack_better", [("autoattack", NONE, {})]),
        ("silent_success", [("bim", NONE, {"iterate": 1})]),
        ("label_leaking", [("fgsm", ALL, {}), ("clean", NONE, {})]),
        ("catastrophic_overfitting", [("fgsm", ALL, {}), ("pgd", ALL, ENTROPY_ONCE), ("pgd", NONE, WORST)]),
    ],
)
def test_a_figure_that_cannot_be_fails_the_check_meant_for_it(check: str, changes: list[Change], sound: AuditedModel) -> None:
    model = with_outcomes(sound, *changes)
    assert verdict(check, model) == FAIL, MEASURES[check](model)


def test_autoattack_is_compared_on_the_images_that_it_attacked(sound: AuditedModel) -> None:
    one = torch.from_numpy(sound.evaluated("autoattack"))
    one[one.nonzero()[0]] = False
    found = MEASURES["autoattack_better"](with_outcomes(sound, ("autoattack", one, {})))
    assert (found.value, found.examples) == (2 / IMAGES, IMAGES // 2)


def test_an_image_that_autoattack_does_not_fool_is_not_counted(sound: AuditedModel) -> None:
    model = with_outcomes(sound, ("pgd", NONE, WORST), ("autoattack", ALL, {}))
    assert MEASURES["autoattack_better"](model).value == 0


def test_a_single_step_is_compared_in_its_own_standard_errors(sound: AuditedModel) -> None:
    half, more = (torch.arange(IMAGES) < n for n in (250, 300))
    model = with_outcomes(sound, ("fgsm", half, {}), ("bim", more, {"iterate": TRACE.iterations}))
    assert MEASURES["stronger_single_step"](model).value == pytest.approx(0.1 / (0.25 / 500) ** 0.5)


def test_the_rise_over_budgets_begins_with_the_clean_images(sound: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditedModel, "correct_after", lambda model, pgd: np.arange(IMAGES) < 100)
    assert MEASURES["budget_not_monotone"](with_outcomes(sound, ("clean", NONE, {}))).value == 0.2


def test_a_difference_is_paired_on_the_first_images_of_both() -> None:
    found = difference(np.array([True, True, False, False]), np.array([True, False]))
    assert (found.value, found.error, found.examples) == (0.5, pytest.approx(0.5 / 2**0.5), 2)


@pytest.mark.parametrize("logits", [[0.5, 0.7], [1.5, -0.5]])
def test_outputs_that_are_negative_or_do_not_sum_to_1_are_no_probabilities(logits: list[float], sound: AuditedModel) -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor(logits).expand(len(x), 2)

    assert MEASURES["not_logits"](replace(sound, network=Constant())).value == 0


def test_how_a_batch_changes_logits_is_relative_to_them(data: Examples, sound: AuditedModel) -> None:
    def batched(factor: float) -> nn.Module:
        return Prototypes(data, before=lambda x: x - 0.5 * x.mean(dim=0, keepdim=True), after=lambda z: factor * z)

    small, large = (MEASURES["not_batch_invariant"](replace(sound, network=batched(factor))) for factor in (1, 1024))
    assert small.value == pytest.approx(large.value)
    assert small.value > 0


def test_an_exact_gradient_is_given_to_fgsm_and_to_bim_of_steps_of_epsilon_over_n(
    sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, steps = [], measure.bim_steps
    monkeypatch.setattr(measure, "bim_steps", lambda *images, **settings: asked.append(settings) or steps(*images, **settings))
    MEASURES["precision"](sound)
    budgets = {(one["iterations"], one["epsilon"], one["step_size"]) for one in asked}
    assert budgets == {(1, 0.2, 0.2), (TRACE.iterations, 0.2, 0.2 / TRACE.iterations)}
    assert all(one["loss"] is exact_cross_entropy for one in asked)


def test_square_attack_has_the_classifier_s_budget_and_the_audit_s_queries(
    sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(measure, "square", lambda model, x, y, **settings: asked.append(settings) or x)
    MEASURES["gradient_free_better"](replace(sound))
    assert [(one["epsilon"], one["queries"]) for one in asked] == [(0.2, 100)]


def test_an_image_counts_that_any_draw_of_noise_fools(sound: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[Tensor] = []

    def fooled_by_the_first(self: AuditedModel, x: Tensor) -> Tensor:
        right = Prototypes(self.data)(x)
        first.extend([] if first else [x])
        return -right if torch.equal(x, first[0]) else right

    monkeypatch.setattr(AuditedModel, "logits", fooled_by_the_first)
    assert MEASURES["noise_better"](replace(sound)).value == sound.evaluated("pgd", loss="worst").mean()


def test_noise_that_fools_where_pgd_does_not_is_seen(data: Examples, sound: AuditedModel) -> None:
    """A model that gives up on whatever is no multiple of 1/255, and whose gradient says nothing of it."""

    class OnlyBytes(Prototypes):
        def forward(self, x: Tensor) -> Tensor:
            moved = ((255 * x - (255 * x).round()).abs() > 0.01).flatten(1).any(dim=1, keepdim=True).detach()
            return torch.where(moved, -1e6 * torch.eye(10)[data.y[0]], super().forward(x))

    model = replace(with_outcomes(sound, ("pgd", ALL, WORST)), network=OnlyBytes(data))
    assert verdict("noise_better", model) == FAIL


def test_noise_is_uniform_and_of_signs_and_the_worst_counts(sound: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(AuditedModel, "logits", lambda self, x: seen.append(x) or Prototypes(self.data)(x))
    MEASURES["noise_better"](sound)
    assert len(seen) == 2 * AUDIT.noise_draws + 1, "each kind in each draw, and the worst once more"
    x = sound.data.x[sound.evaluated("pgd", loss="worst").nonzero()[0]]
    on_the_edge = [(((tried - x).abs() - 0.2).abs() < 1e-6) | (tried == 0) | (tried == 1) for tried in seen[:2]]
    assert not on_the_edge[0].all(), "uniform"
    assert on_the_edge[1].all(), "signs"


@pytest.mark.parametrize(
    ("check", "accuracy"),
    [
        ("budget_not_monotone", lambda pgd: 0.6 if pgd.epsilon == 0.4 else 0.2),
        ("above_chance_at_half", lambda pgd: 0.2 if pgd.epsilon == 0.5 else 0.0),
        ("above_zero_at_one", lambda pgd: 0.1 if pgd.epsilon == 1 else 0.0),
        ("iterations_not_enough", lambda pgd: 0.1 if pgd.iterations == 40 else 0.2),
        ("iterations_not_enough", lambda pgd: 0.3 if pgd.iterations == 40 else 0.2),
        ("step_size_matters", lambda pgd: 0.3 if pgd.step_size == 0.4 else 0.2),
        ("step_size_matters", lambda pgd: 0.1 if pgd.step_size == 0.1 else 0.2),
    ],
)
def test_what_a_variant_of_pgd_gives_is_seen(
    check: str, accuracy: Callable[[Pgd], float], sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AuditedModel, "correct_after", lambda model, pgd: np.arange(IMAGES) < accuracy(pgd) * IMAGES)
    assert verdict(check, sound) == FAIL


@pytest.mark.parametrize(
    ("check", "variants"),
    [
        ("budget_not_monotone", [{"epsilon": epsilon, "step_size": epsilon} for epsilon in (0.1, 0.3, 0.4, 0.5)]),
        ("longer_pgd_better", [{"iterations": 40}]),
        ("other_step_better", [{"step_size": 0.1}, {"step_size": 0.4}]),
    ],
)
def test_pgd_is_varied_by_one_restart_of_larger_budgets_more_iterations_and_other_steps(
    check: str, variants: list[dict[str, float]], sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A larger budget has a larger step; PGD's own, 0.2, has been evaluated."""
    asked, attack = [], Pgd.attack
    monkeypatch.setattr(Pgd, "attack", lambda pgd, *arguments: asked.append(pgd) or attack(pgd, *arguments))
    MEASURES[check](replace(sound))
    for pgd, variant in zip(asked, variants, strict=True):
        assert asdict(pgd) == pytest.approx({**asdict(PGD), "restarts": 1, **variant})


def test_a_budget_below_those_of_the_path_adds_half_of_it_itself_and_twice_of_it(
    sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, asked = replace(sound, audit=replace(sound.audit, epsilon=0.04)), []
    monkeypatch.setattr(AuditedModel, "correct_after", lambda model, pgd: asked.append(pgd.epsilon) or np.arange(IMAGES) < 0)
    MEASURES["budget_not_monotone"](small)
    assert asked == pytest.approx([0.02, 0.04, 0.08, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_chance_is_the_share_of_the_commonest_label(data: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 images, 150 have label 0 and the others ten less than 50 each: always 0 is right on 30%."""
    y = torch.cat([torch.zeros(150, dtype=torch.int64), torch.arange(IMAGES - 150) % 9 + 1])
    model = AuditedModel(Prototypes(data), Examples(data.x, y), [], AUDIT, batch_size=250)
    for right, expected in ((150, PASS), (151, WARN), (250, FAIL)):
        monkeypatch.setattr(AuditedModel, "correct_after", lambda model, pgd, right=right: np.arange(IMAGES) < right)
        assert verdict("above_chance_at_half", model) == expected


@pytest.mark.parametrize("network", PLAIN)
@pytest.mark.parametrize("check", ["not_logits", "not_deterministic", "not_batch_invariant"])
def test_our_own_networks_answer_in_logits_the_same_twice_and_in_every_batch(check: str, network: str, data: Examples) -> None:
    ours = new_network(network)
    initialise(ours, torch.Generator().manual_seed(0))
    assert verdict(check, AuditedModel(ours, data.first(64), [], AUDIT, batch_size=40)) == PASS


def test_what_withstood_the_audit_s_attacks_is_left_as_rows_of_evaluations(sound: AuditedModel) -> None:
    """An image counts as right if it withstood PGD before."""
    model = replace(sound)
    found = dict(measure_all(model, state={}, save=lambda state: None))
    rows = {row["attack"]: row for row in model.attack_rows()}
    after = {"square": "gradient_free_better", "noise": "noise_better", "longer_pgd": "longer_pgd_better"}
    assert set(rows) == {f"{attack}_after_pgd" for attack in (*after, "half_step", "twice_step")}
    for attack, check in after.items():
        fooled = sound.evaluated("pgd", loss="worst").sum() - rows[f"{attack}_after_pgd"]["correct"]
        assert fooled / IMAGES == pytest.approx(found[check].value)


def test_a_run_killed_after_any_check_resumes_there_and_finds_the_same(
    sound: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, saved = replace(sound), [{}]
    expected = list(measure_all(whole, state={}, save=saved.append))
    counted: list[str] = []
    counting = {check: lambda model, check=check: counted.append(check) or MEASURES[check](model) for check in MEASURES}
    monkeypatch.setattr(measure, "MEASURES", counting)
    for done in range(0, len(saved), 5):
        counted.clear()
        model = replace(sound)
        assert list(measure_all(model, state=saved[done], save=lambda state: None)) == expected
        assert counted == list(MEASURES)[done:]
        assert model.attack_rows() == whole.attack_rows()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_gradient_that_is_no_use_is_counted(value: float, sound: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        gradient = torch.ones_like(x)
        gradient[0] = value
        return gradient, model(x)

    monkeypatch.setattr(measure, "input_gradient", useless)
    assert MEASURES["zero_gradients"](sound).value == 2 / IMAGES, "one of each of two batches"


def test_an_audit_of_fewer_images_than_pgd_attacked_is_about_the_first_of_them(sound: AuditedModel, data: Examples) -> None:
    model = with_outcomes(replace(sound, data=data.first(100)), ("pgd", torch.arange(IMAGES) >= 50, WORST))
    found = dict(measure_all(model, state={}, save=lambda state: None))
    for check in ("gradient_free_better", "noise_better", "step_size_matters", "precision", "zero_gradients"):
        assert found[check].examples == 100, check
    assert {row["examples"] for row in model.attack_rows()} == {100}
    assert not any(right[:50].any() for right in model.withstood.values()), "PGD fools the first 50"
    assert found["restarts_matter"].examples == IMAGES, "what was evaluated on more is compared on more"
