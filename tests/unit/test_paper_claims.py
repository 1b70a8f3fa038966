"""The paper's claims: what figures make each of them hold, hold in part, not hold, or remain open.

Our figures are the paper's own Table I on 10,000 images; a test changes some of them, in percent, and says what becomes of the
claim. `(dataset, defense, N)` is the accuracy under BIM(N), `(dataset, defense, N, iterate)` one iterate's.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from advtrain.report import claims_page, paper
from advtrain.report import paper_claims as claims
from advtrain.report.pages import to_html, to_markdown
from advtrain.report.paper_claims import Figures, judge_all
from advtrain.report.verdicts import Verdict
from evaluated import DATASETS, DEFENSES, labels_of
from synthetic import outcome_row

IMAGES = 10_000
HOLDS, IN_PART, DOES_NOT_HOLD, CANNOT_BE_TOLD = Verdict

Changes = dict[tuple[Any, ...], float | tuple[float, ...]]
"""Percent, of each seed the same or one of each seed."""


def papers() -> Changes:
    """Table I, with curves between its figures on which the claims on Figures 1 and 2 hold."""
    found: Changes = {}
    for dataset in DATASETS:
        for defense in DEFENSES:
            clean, _, end, bim30 = {"vanilla": {}, **paper.TABLE_1}[defense].get(dataset, (99.0, 20.0, 0.5, 0.3))
            found |= {(dataset, defense, 10, i): end + (clean - end) * (1 - i / 10) ** 3 for i in range(11)}
            found |= {(dataset, defense, 4): 20.0, (dataset, defense, 5): end, (dataset, defense, 30): bim30}
    return found


def figures(changes: Changes | None = None, *, seeds: int = 3, seconds: pd.DataFrame | None = None) -> Figures:
    rows = []
    for (dataset, defense, n, *iterate), percent in (papers() | (changes or {})).items():
        for seed in range(seeds):
            of_seed = percent[seed] if isinstance(percent, tuple) else percent
            row = outcome_row("bim", round(of_seed * IMAGES / 100), IMAGES, n, iterate=iterate[0] if iterate else n)
            rows.append({"dataset": dataset, "defense": defense, "seed": seed, **row})
    return Figures(pd.DataFrame(rows), rounds() if seconds is None else seconds, "mnist", DATASETS, DEFENSES)


def rounds(n: int = 20, **seconds: list[float]) -> pd.DataFrame:
    """Rounds of the paper's times on a machine that slows down by 2% a round, which hits all defenses alike."""
    slower = 1.02 ** np.arange(n)
    times = {name: value * slower for name, value in paper.SECONDS_PER_EPOCH.items()} | seconds
    return pd.DataFrame(
        [(name, block, time) for name, values in times.items() for block, time in enumerate(values)],
        columns=["defense", "block", "seconds_per_epoch"],
    )


def without(**wanted: Any) -> Figures:
    """The paper's figures less the evaluations that have these values."""
    found = figures()
    lacking = np.logical_and.reduce([found.evaluations[column] == value for column, value in wanted.items()])
    return replace(found, evaluations=found.evaluations[~lacking])


def test_on_the_paper_s_own_figures_its_claims_hold() -> None:
    assert [claim.verdict for claim in judge_all(figures())] == [HOLDS] * 11


FGSM_ADV = ("mnist", "fgsm_adv")


def in_all_four(defense: str, *percent: float) -> Changes:
    """A defense's figures under BIM(10) and BIM(30), of MNIST and then of Fashion-MNIST."""
    all_four = [(dataset, defense, *n) for dataset in DATASETS for n in ((10, 10), (30,))]
    return dict(zip(all_four, percent, strict=True))


CASES = {
    "bim_converges": [
        ({("mnist", "bim10_adv", 5): 93.24 + 1.8}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 5): 93.24 + 1.7}, HOLDS),
        ({("mnist", "bim10_adv", 5): 90.5}, IN_PART),
        ({(d, m, n): 50.0 for d, n in (("mnist", 5), ("fmnist", 30)) for m in ("bim10_adv", "bim30_adv")}, DOES_NOT_HOLD),
    ],
    "undefended_are_below_chance": [
        ({(*FGSM_ADV, 4): 60.0}, HOLDS),
        ({(*FGSM_ADV, 5): 9.9}, CANNOT_BE_TOLD),
        ({(*FGSM_ADV, 5): 12.0}, IN_PART),
        ({(d, m, 30): 12.0 for d in DATASETS for m in ("vanilla", "fgsm_adv")}, DOES_NOT_HOLD),
    ],
    "accuracy_never_rises": [
        ({("mnist", "bim10_adv", 10, 9): 93.30}, HOLDS),
        ({("mnist", "bim10_adv", 10, 9): 93.28}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 10, 9): 92.0}, IN_PART),
        ({(d, m, 10, 3): 1.0 for d in DATASETS for m in paper.IN_FIGURES_1_AND_2}, DOES_NOT_HOLD),
    ],
    "undefended_fall_early": [
        ({(*FGSM_ADV, 10, 8): 10.1}, CANNOT_BE_TOLD),
        ({(*FGSM_ADV, 10, 8): 12.0}, IN_PART),
        ({(d, m, 10, 8): 12.0 for d in DATASETS for m in ("vanilla", "fgsm_adv")}, DOES_NOT_HOLD),
    ],
    "most_is_lost_early": [
        ({("mnist", "bim10_adv", 10, 6): 95.5}, HOLDS),
        ({("mnist", "bim10_adv", 10, 6): (98.97 + 93.29) / 2}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 10, 6): 97.5}, IN_PART),
        ({(d, m, 10, 6): 98.0 for d in DATASETS for m in ("bim10_adv", "bim30_adv")}, DOES_NOT_HOLD),
    ],
    "finer_training_is_no_better_on_mnist": [
        ({("mnist", "bim30_adv", 30): 93.24 - 0.7}, HOLDS),
        ({("mnist", "bim30_adv", 30): 93.24 + 1.0}, CANNOT_BE_TOLD),
        ({("mnist", "bim30_adv", 30): 95.0}, IN_PART),
        ({("mnist", "bim30_adv", 10, 10): 95.0, ("mnist", "bim30_adv", 30): 90.0}, DOES_NOT_HOLD),
    ],
    "finer_training_is_better_on_fashion_mnist": [
        ({("fmnist", "bim30_adv", 30): 65.96 + 0.5}, HOLDS),
        ({("fmnist", "bim30_adv", 30): 65.96}, CANNOT_BE_TOLD),
        ({("fmnist", "bim30_adv", 30): 60.0}, IN_PART),
        ({("fmnist", "bim30_adv", 10, 10): 60.0, ("fmnist", "bim30_adv", 30): 60.0}, DOES_NOT_HOLD),
    ],
    "proposed_beats_atda": [
        ({("fmnist", "proposed", 30): 80.0}, HOLDS),
        ({("fmnist", "proposed", 30): 49.1 + 15.93}, CANNOT_BE_TOLD),
        ({("fmnist", "proposed", 30): 55.0}, IN_PART),
        (in_all_four("proposed", 87.0, 85.0, 57.5, 50.0), IN_PART),
        (in_all_four("proposed", 86.0, 84.0, 56.0, 49.0), DOES_NOT_HOLD),
    ],
    "proposed_matches_bim10_adv": [
        ({("fmnist", "proposed", 30): 65.96 - 0.7}, HOLDS),
        ({("fmnist", "proposed", 30): 65.96 - 1.0}, CANNOT_BE_TOLD),
        ({("fmnist", "proposed", 30): 60.0}, IN_PART),
        (in_all_four("proposed", 90.0, 90.0, 60.0, 60.0), DOES_NOT_HOLD),
    ],
}


@pytest.mark.parametrize(("key", "changes", "said"), [(key, *case) for key, cases in CASES.items() for case in cases])
def test_figures_give_the_verdict(key: str, changes: Changes, said: Verdict) -> None:
    """Of three seeds that are 0.1 points apart, which is an interval of 0.25 points to each side."""
    apart = {at: (figure - 0.1, figure, figure + 0.1) for at, figure in changes.items()}
    assert getattr(claims, key)(figures(apart)).verdict == said


@pytest.mark.parametrize("key", CASES)
def test_one_seed_tells_nothing_of_accuracies_even_if_it_is_the_paper_s_figure_or_far_from_it(key: str) -> None:
    *_, (far_off, _) = CASES[key]
    for changes in ({}, far_off):
        found = getattr(claims, key)(figures(changes, seeds=1))
        assert found.verdict == CANNOT_BE_TOLD
        assert {condition.met for condition in found.conditions} == {None}
        assert found.basis == "1 seed, 10,000 images"


def test_a_claim_names_what_it_rests_on_and_one_about_time_needs_no_seeds() -> None:
    found = {claim.key: claim for claim in judge_all(figures(seeds=1))}
    time = found["proposed_is_cheaper_than_atda"]
    assert (time.verdict, time.basis) == (HOLDS, "20 rounds")
    assert claims.proposed_beats_atda(figures()).basis == "3 seeds, 10,000 images"


ATDA = [26.21] * 20
TIMES = [
    ("proposed_is_cheaper_than_atda", {"proposed": [26.21 * 0.6] * 20, "atda": ATDA}, HOLDS),
    ("proposed_is_cheaper_than_atda", {"proposed": [24.0] * 20, "atda": ATDA}, IN_PART),
    ("proposed_is_cheaper_than_atda", {"proposed": [18.0, 20.0] * 10, "atda": ATDA}, CANNOT_BE_TOLD),
    ("proposed_is_cheaper_than_atda", {"proposed": [27.0] * 20, "atda": ATDA}, DOES_NOT_HOLD),
    ("single_adv_is_cheaper_than_iter_adv", {"bim30_adv": [56.0] * 20, "fgsm_adv": [17.0] * 20}, IN_PART),
    ("single_adv_is_cheaper_than_iter_adv", {"bim30_adv": [100.0, 130.0] * 10, "fgsm_adv": [18.0] * 20}, CANNOT_BE_TOLD),
    ("single_adv_is_cheaper_than_iter_adv", {name: [200.0] * 20 for name in claims.SINGLE_ADV}, DOES_NOT_HOLD),
]


@pytest.mark.parametrize(("key", "seconds", "said"), TIMES)
def test_times_give_the_verdict(key: str, seconds: dict[str, list[float]], said: Verdict) -> None:
    assert getattr(claims, key)(figures(seconds=rounds(**seconds))).verdict == said


def test_a_saving_is_paired_by_round() -> None:
    """A machine that slows down changes the times of both defenses and not the saving."""
    ours = claims.proposed_is_cheaper_than_atda(figures()).conditions[0].quantity.ours
    assert ours.mean == pytest.approx(0.2873, abs=1e-4)
    assert ours.upper - ours.lower < 1e-9


def test_the_paper_s_figures_are_those_of_its_table() -> None:
    found = {claim.key: claim.paper for claim in judge_all(figures())}
    assert found["proposed_beats_atda"].startswith("+7.61, +9.84, +13.94 and +16.93 points")
    assert found["finer_training_is_better_on_fashion_mnist"].startswith("+3.67 and +4.79 points")
    assert found["proposed_is_cheaper_than_atda"].startswith("28.73% less")
    assert found["single_adv_is_cheaper_than_iter_adv"].startswith("up to 85% less")


@pytest.mark.parametrize(
    ("key", "lacking", "reason"),
    [
        ("bim_converges", {"dataset": "mnist", "iterations": 5}, "BIM(5) of mnist/bim10_adv"),
        ("bim_converges", {"iterations": 30}, "BIM(N) with N > 10 of fmnist/bim10_adv"),
        ("undefended_fall_early", {"iterate": 8, "dataset": "fmnist"}, "iterate 8 of BIM(10) of fmnist/vanilla"),
        ("proposed_beats_atda", {"defense": "atda", "dataset": "fmnist"}, "BIM(10) of fmnist/atda"),
    ],
)
def test_what_was_not_evaluated_is_named_and_cannot_be_told(key: str, lacking: dict[str, Any], reason: str) -> None:
    found = getattr(claims, key)(without(**lacking))
    assert (found.verdict, found.conditions, found.rule) == (CANNOT_BE_TOLD, (), f"not evaluated here: {reason}")


@pytest.mark.parametrize("key", ["proposed_is_cheaper_than_atda", "single_adv_is_cheaper_than_iter_adv"])
def test_a_time_that_was_not_measured_is_named(key: str) -> None:
    found = getattr(claims, key)(figures(seconds=rounds().query("defense != 'atda'")))
    assert (found.verdict, found.rule) == (CANNOT_BE_TOLD, "not evaluated here: training time of atda")


def test_a_configuration_without_the_paper_s_defenses_can_tell_nothing() -> None:
    mine = rounds().query("defense == 'proposed'").assign(defense="mine")
    other = replace(figures(), timing_blocks=mine, defenses={"mine": "Mine"}, evaluations=without(attack="bim").evaluations)
    assert {claim.verdict for claim in judge_all(other)} == {CANNOT_BE_TOLD}


def test_of_other_data_sets_the_paper_claims_nothing_and_the_page_says_so() -> None:
    other = replace(figures(), datasets={"kmnist": "KMNIST"})
    assert not judge_all(other)
    (only,) = claims_page.page([], other, replace(labels_of(*DEFENSES), datasets=other.datasets), "a machine")
    assert only.text == "The paper claims nothing of KMNIST."


def on_cifar10(changes: Changes | None = None, **seconds: list[float]) -> Figures:
    """The sequel's figures: 36 points over ATDA, 3 below both BIM-Adv; 20% less time than ATDA, 80% less than BIM(30)-Adv."""
    percent = {"atda": 10.0, "proposed": 46.0, "bim10_adv": 49.0, "bim30_adv": 49.0}
    said: Changes = {("cifar10", defense, n): figure for defense, figure in percent.items() for n in (10, 30)}
    found = figures(said | (changes or {}), seconds=rounds(**{"atda": [25.0] * 20, "proposed": [20.0] * 20, **seconds}))
    return replace(found, timed_on="cifar10", datasets={"cifar10": "CIFAR-10"})


SEQUEL = {
    "sequel_beats_atda": [
        ({("cifar10", "atda", 10): 11.5}, CANNOT_BE_TOLD),
        ({("cifar10", "atda", 10): 20.0}, IN_PART),
        ({("cifar10", "proposed", n): 9.0 for n in (10, 30)}, DOES_NOT_HOLD),
    ],
    "sequel_loses_little_to_bim_adv": [
        ({("cifar10", "bim30_adv", 30): 49.8}, CANNOT_BE_TOLD),
        ({("cifar10", "bim30_adv", 30): 55.0}, IN_PART),
    ],
}
CHEAPER = ("sequel_is_cheaper_than_atda", "sequel_is_cheaper_than_bim_adv")


def test_the_sequel_s_claims_are_judged_where_there_is_cifar_10_and_hold_on_its_figures() -> None:
    found = judge_all(on_cifar10())
    assert {claim.key: claim.verdict for claim in found} == dict.fromkeys([*SEQUEL, *CHEAPER], HOLDS)
    assert all("arXiv 2002.09632" in claim.where for claim in found)


@pytest.mark.parametrize(("key", "changes", "said"), [(key, *case) for key, cases in SEQUEL.items() for case in cases])
def test_figures_on_cifar_10_give_the_sequel_s_verdict(key: str, changes: Changes, said: Verdict) -> None:
    apart = {at: (figure - 0.1, figure, figure + 0.1) for at, figure in changes.items()}
    assert getattr(claims, key)(on_cifar10(apart)).verdict == said


def test_the_sequel_s_times_are_those_on_cifar_10_and_of_the_bim_adv_classifiers_that_there_are() -> None:
    assert claims.sequel_is_cheaper_than_atda(on_cifar10(atda=[22.0] * 20)).verdict == IN_PART
    elsewhere = claims.sequel_is_cheaper_than_atda(replace(on_cifar10(), timed_on="mnist"))
    assert (elsewhere.verdict, elsewhere.rule) == (CANNOT_BE_TOLD, "not evaluated here: training time on CIFAR-10")
    alone = replace(on_cifar10(), defenses={key: title for key, title in DEFENSES.items() if key != "bim30_adv"})
    found = claims.sequel_loses_little_to_bim_adv(alone)
    assert not any("BIM(30)-Adv" in condition.quantity.name for condition in found.conditions)
    none = claims.sequel_loses_little_to_bim_adv(replace(alone, defenses={"proposed": "Proposed"}))
    assert none.rule == "not evaluated here: any classifier trained on BIM or PGD examples"


def test_the_page_says_what_was_measured_and_what_the_intervals_leave_out() -> None:
    labels = labels_of(*DEFENSES, departures={"atda": "batch_size 32"})
    one, three = (
        claims_page.page(judge_all(figures(seeds=seeds)), figures(seeds=seeds), labels, "a machine")[0].text for seeds in (1, 3)
    )
    for said in ("20 epochs", "ATDA with batch_size 32", "10,000 test images, of one seed.", "20 rounds, on a machine"):
        assert said in one
    assert "of 3 seeds; the 95% intervals are over seeds, for these images" in three


def test_the_page_has_every_claim_with_its_verdict_its_conditions_and_their_answers() -> None:
    found = replace(without(iterate=0), defenses=DEFENSES | {"atda": "<A&B>"})
    judged = judge_all(found)
    _, verdicts, *sections = claims_page.page(judged, found, labels_of(*DEFENSES), "a machine")
    assert verdicts.table is not None
    assert verdicts.table["claim"].tolist() == [claim.sentence for claim in judged]
    assert verdicts.table["rests on"].tolist() == [claim.basis for claim in judged]
    for claim, section in zip(judged, sections, strict=True):
        assert section.heading == f"{str(claim.verdict).capitalize()}: {claim.sentence}"
        if not claim.conditions:
            assert "Not evaluated here: iterate 0 of BIM(10) of mnist/" in section.text
            continue
        assert claim.rule in section.text
        assert section.table is not None
        assert section.table["ours, with 95% interval"].tolist() == [one.quantity.figure for one in claim.conditions]
        assert "; ".join(section.table["rests on"].unique()) == claim.basis
        assert {"✓ met"} == set(section.table["answer"])
    html, markdown = to_html("Claims", sections), to_markdown("Claims", sections)
    assert "Proposed less &lt;A&amp;B&gt; under BIM(10)" in html
    assert r"Proposed less \<A\&B> under BIM(10)" in markdown


def test_the_table_has_each_claim_s_verdict_and_a_line_and_numbers_for_each_condition() -> None:
    table = claims_page.claims_table(judge_all(without(defense="vanilla"))).to_pandas().set_index("key")
    assert len(table) == 11
    beats = table.loc["proposed_beats_atda"]
    assert (beats["verdict"], len(beats["ours"]), len(beats["numbers"])) == ("holds", 8, 8)
    assert (beats["numbers"][0]["mean"], beats["numbers"][0]["met"]) == (pytest.approx(0.0761), True)
    assert (beats["numbers"][0]["seeds"], beats["numbers"][0]["examples"]) == (3, 10_000)
    time = table.loc["proposed_is_cheaper_than_atda", "numbers"][0]
    assert (time["seeds"], time["examples"]) == (20, None)
    assert table.loc["undefended_fall_early", "verdict"] == "cannot be told"
