"""The paper's claims: what figures make each of them hold, hold in part, not hold, or remain open.

The evidence is made of the paper's own Table I on 10,000 images; a test changes some figures of it, in percent, and says what
becomes of the claim. `(dataset, defense, N)` is the accuracy under BIM(N), `(dataset, defense, N, iterate)` one iterate's.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import claims as script
from advtrain.report import paper_claims as claims, claims_page, paper
from advtrain.report.paper_claims import Evidence, judge_all
from advtrain.report.pages import escape_markdown
from advtrain.results.parquet import evaluation_table, provenance, read_provenance, read_table, write_table
from advtrain.report.statistics import Estimate
from advtrain.report.verdicts import POINTS, Condition, Verdict, at_least, below, decisive, more_than_nothing, no_rise, verdict, within
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {
    "vanilla": "Vanilla",
    "fgsm_adv": "FGSM-Adv",
    "atda": "ATDA",
    "proposed": "Proposed",
    "bim10_adv": "BIM(10)-Adv",
    "bim30_adv": "BIM(30)-Adv",
}
IMAGES = 10_000
HOLDS, IN_PART, DOES_NOT_HOLD, CANNOT_BE_TOLD = Verdict

Figure = float | tuple[float, ...]
"""In percent: of each seed the same, or one of each seed."""


def figures() -> dict[tuple[Any, ...], Figure]:
    """Table I, with curves between its figures on which the claims on Figures 1 and 2 hold."""
    found: dict[tuple[Any, ...], Figure] = {}
    for dataset in DATASETS:
        for defense in DEFENSES:
            clean, _, end, bim30 = {"vanilla": {}, **paper.TABLE_1}[defense].get(dataset, (99.0, 20.0, 0.5, 0.3))
            found |= {(dataset, defense, 10, i): end + (clean - end) * (1 - i / 10) ** 3 for i in range(11)}
            found |= {(dataset, defense, 4): 20.0, (dataset, defense, 5): end, (dataset, defense, 30): bim30}
    return found


def evidence(
    changes: dict[tuple[Any, ...], Figure] | None = None, *, seeds: int = 1, seconds: pd.DataFrame | None = None
) -> Evidence:
    rows = []
    for (dataset, defense, n, *iterate), figure in (figures() | (changes or {})).items():
        for seed in range(seeds):
            percent = figure[seed] if isinstance(figure, tuple) else figure
            row = outcome_row("bim", round(percent * IMAGES / 100), IMAGES, n, iterate=iterate[0] if iterate else n)
            rows.append({"dataset": dataset, "defense": defense, "seed": seed, **row})
    table = evaluation_table(rows).to_pandas()
    return Evidence(table, rounds() if seconds is None else seconds, DATASETS, DEFENSES)


def rounds(n: int = 20, **seconds: list[float]) -> pd.DataFrame:
    """Rounds of the paper's times on a machine that slows down by 2% a round, which hits all defenses alike."""
    slower = 1.02 ** np.arange(n)
    times = {name: value * slower for name, value in paper.SECONDS_PER_EPOCH.items()} | seconds
    return pd.DataFrame(
        [(name, block, time) for name, values in times.items() for block, time in enumerate(values)],
        columns=["defense", "block", "seconds_per_epoch"],
    )


def without(found: Evidence, **wanted: Any) -> Evidence:
    """The evidence less the evaluations that have these values."""
    table = found.evaluations
    kept = ~np.logical_and.reduce([table[column] == value for column, value in wanted.items()])
    return Evidence(table[kept], found.timing_blocks, found.datasets, found.defenses)


def estimate(lower: float, mean: float, upper: float) -> Estimate:
    return Estimate(mean, float("nan"), lower, upper, 1)


# Conditions


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        (below("", estimate(0.07, 0.08, 0.0999), 0.1), True),
        (below("", estimate(0.07, 0.08, 0.1), 0.1), None),
        (below("", estimate(0.1, 0.11, 0.12), 0.1), False),
        (at_least("", estimate(0.1, 0.11, 0.12), 0.1, POINTS), True),
        (at_least("", estimate(0.09, 0.11, 0.12), 0.1, POINTS), None),
        (at_least("", estimate(0.07, 0.08, 0.0999), 0.1, POINTS), False),
        (more_than_nothing("", estimate(0.01, 0.02, 0.03), POINTS), True),
        (more_than_nothing("", estimate(0.0, 0.02, 0.03), POINTS), None),
        (more_than_nothing("", estimate(0.0, 0.0, 0.0), POINTS), False),
        (within("", estimate(-0.01, 0.0, 0.01), 0.01), True),
        (within("", estimate(-0.011, 0.0, 0.01), 0.01), None),
        (within("", estimate(-0.03, -0.02, -0.011), 0.01), False),
        (within("", estimate(0.011, 0.02, 0.03), 0.01), False),
        (no_rise("", estimate(-0.01, 0.0, 0.01)), True),
        (no_rise("", estimate(-0.01, 0.001, 0.01)), None),
        (no_rise("", estimate(0.001, 0.01, 0.02)), False),
        (at_least("", estimate(float("nan"), 0.5, float("nan")), 0.1, POINTS), None),
    ],
)
def test_a_condition_is_met_or_not_where_the_whole_interval_is_on_one_side(condition: Condition, met: bool | None) -> None:
    assert condition.met is met


def condition(met: bool | None, room: float = 0.0) -> Condition:
    return Condition("", estimate(0, 0, 0), POINTS, "", met, room)


@pytest.mark.parametrize(
    ("met", "said"),
    [
        ((True, True), HOLDS),
        ((True, False), IN_PART),
        ((True, None, False), IN_PART),
        ((False, False), DOES_NOT_HOLD),
        ((None, False), DOES_NOT_HOLD),
        ((None, None), CANNOT_BE_TOLD),
        ((True, None), CANNOT_BE_TOLD),
    ],
)
def test_the_conditions_give_the_verdict(met: tuple[bool | None, ...], said: Verdict) -> None:
    assert verdict([condition(one) for one in met]) == said


def test_the_decisive_condition_is_one_not_met_then_an_open_one_then_that_of_least_room() -> None:
    wide, narrow, is_open, fails = condition(True, 0.5), condition(True, 0.1), condition(None, 0.2), condition(False, -0.1)
    assert decisive([wide, narrow]) is narrow
    assert decisive([wide, is_open, narrow]) is is_open
    assert decisive([is_open, fails, wide]) is fails


def test_a_condition_reads_as_a_figure_its_interval_and_its_threshold() -> None:
    line = str(at_least("Ours less theirs", estimate(0.005, 0.0123, 0.02), -0.01, POINTS))
    assert line == "Ours less theirs: +1.23 points (+0.50 to +2.00), at least -1.00 points: met"
    assert str(below("Ours", estimate(0.05, 0.1, 0.15), 0.1)) == "Ours: 10.00% (5.00 to 15.00), below 10%: open"


# Claims


def test_on_the_paper_s_own_figures_its_claims_hold() -> None:
    said = {claim.key: claim.verdict for claim in judge_all(evidence())}
    assert len(said) == 11
    assert set(said.values()) == {HOLDS}, said


MNIST_FGSM_ADV = ("mnist", "fgsm_adv")
IN_ALL_FOUR = [(dataset, n) for dataset in DATASETS for n in ((10, 10), (30,))]


def all_four(defense: str, *percent: float) -> dict[tuple[Any, ...], float]:
    """A defense's figures under BIM(10) and BIM(30), of MNIST and then of Fashion-MNIST."""
    return {(dataset, defense, *n): figure for (dataset, n), figure in zip(IN_ALL_FOUR, percent, strict=True)}


CASES = {
    "bim_converges": [
        ({}, HOLDS),
        ({("mnist", "bim10_adv", 5): 93.24 + 1.8}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 5): 93.24 + 1.7}, HOLDS),
        ({("mnist", "bim10_adv", 5): 95.6}, IN_PART),
        ({("mnist", "bim10_adv", 5): 90.5}, IN_PART),
        ({(d, m, n): 50.0 for d, n in (("mnist", 5), ("fmnist", 30)) for m in ("bim10_adv", "bim30_adv")}, DOES_NOT_HOLD),
    ],
    "undefended_are_below_chance": [
        ({(*MNIST_FGSM_ADV, 4): 60.0}, HOLDS),
        ({(*MNIST_FGSM_ADV, 5): 9.3}, HOLDS),
        ({(*MNIST_FGSM_ADV, 5): 9.9}, CANNOT_BE_TOLD),
        ({(*MNIST_FGSM_ADV, 5): 12.0}, IN_PART),
        ({(d, m, 30): 12.0 for d in DATASETS for m in ("vanilla", "fgsm_adv")}, DOES_NOT_HOLD),
    ],
    "accuracy_never_rises": [
        ({("mnist", "bim10_adv", 10, 9): 93.30}, HOLDS),
        ({("mnist", "bim10_adv", 10, 9): 93.28}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 10, 9): 92.0}, IN_PART),
        ({(d, m, 10, 3): 1.0 for d in DATASETS for m in paper.IN_FIGURES_1_AND_2}, DOES_NOT_HOLD),
    ],
    "undefended_fall_early": [
        ({(*MNIST_FGSM_ADV, 10, 7): 50.0}, HOLDS),
        ({(*MNIST_FGSM_ADV, 10, 8): 10.1}, CANNOT_BE_TOLD),
        ({(*MNIST_FGSM_ADV, 10, 8): 12.0}, IN_PART),
        ({(d, m, 10, 8): 12.0 for d in DATASETS for m in ("vanilla", "fgsm_adv")}, DOES_NOT_HOLD),
    ],
    "most_is_lost_early": [
        ({("mnist", "bim10_adv", 10, 6): 95.5}, HOLDS),
        ({("mnist", "bim10_adv", 10, 6): (98.97 + 93.29) / 2}, CANNOT_BE_TOLD),
        ({("mnist", "bim10_adv", 10, 6): 97.5}, IN_PART),
        ({(d, m, 10, 6): 98.0 for d in DATASETS for m in ("bim10_adv", "bim30_adv")}, DOES_NOT_HOLD),
    ],
    "finer_training_is_no_better_on_mnist": [
        ({("mnist", "bim30_adv", 30): 93.24 + 0.7}, HOLDS),
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
        (all_four("proposed", 87.0, 85.0, 57.5, 50.0), IN_PART),
        (all_four("proposed", 86.0, 84.0, 56.0, 49.0), DOES_NOT_HOLD),
        (all_four("proposed", 86.6, 84.2, 56.8, 49.1), DOES_NOT_HOLD),
    ],
    "proposed_matches_bim10_adv": [
        ({("fmnist", "proposed", 30): 65.96 - 0.7}, HOLDS),
        ({("fmnist", "proposed", 30): 65.96 - 1.0}, CANNOT_BE_TOLD),
        ({("fmnist", "proposed", 30): 60.0}, IN_PART),
        (all_four("proposed", 90.0, 90.0, 60.0, 60.0), DOES_NOT_HOLD),
    ],
}


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("key", "changes", "said"), [(key, *case) for key, cases in CASES.items() for case in cases])
def test_figures_give_the_verdict(key: str, changes: dict[tuple[Any, ...], float], said: Verdict, seeds: int) -> None:
    """Three seeds that are 0.1 points apart, which is an interval of 0.25 points to each side, say the same as one."""
    if seeds == 3:
        changes = {at: (figure - 0.1, figure, figure + 0.1) for at, figure in changes.items()}
    assert getattr(claims, key)(evidence(changes, seeds=seeds)).verdict == said


def test_over_seeds_the_spread_decides_and_not_the_images() -> None:
    """A mean of 2 points above BIM(10)-Adv, once of seeds that agree and once of seeds that do not."""
    agree = evidence({("fmnist", "proposed", 30): (68.0, 68.1, 68.2)}, seeds=3)
    differ = evidence({("fmnist", "proposed", 30): (58.0, 68.0, 78.0)}, seeds=3)
    assert claims.proposed_matches_bim10_adv(agree).verdict == HOLDS
    assert claims.proposed_matches_bim10_adv(differ).verdict == CANNOT_BE_TOLD


TIMES = [
    ("proposed_is_cheaper_than_atda", {}, HOLDS),
    ("proposed_is_cheaper_than_atda", {"proposed": [26.21 * 0.6] * 20, "atda": [26.21] * 20}, HOLDS),
    ("proposed_is_cheaper_than_atda", {"proposed": [24.0] * 20, "atda": [26.21] * 20}, IN_PART),
    ("proposed_is_cheaper_than_atda", {"proposed": [18.0, 20.0] * 10, "atda": [26.21] * 20}, CANNOT_BE_TOLD),
    ("proposed_is_cheaper_than_atda", {"proposed": [26.0, 27.0] * 10, "atda": [26.5] * 20}, DOES_NOT_HOLD),
    ("proposed_is_cheaper_than_atda", {"proposed": [27.0] * 20, "atda": [26.21] * 20}, DOES_NOT_HOLD),
    ("single_adv_is_cheaper_than_iter_adv", {}, HOLDS),
    ("single_adv_is_cheaper_than_iter_adv", {"bim30_adv": [56.0] * 20, "fgsm_adv": [17.0] * 20}, IN_PART),
    ("single_adv_is_cheaper_than_iter_adv", {"bim30_adv": [100.0, 130.0] * 10, "fgsm_adv": [18.0] * 20}, CANNOT_BE_TOLD),
]


@pytest.mark.parametrize(("key", "seconds", "said"), TIMES)
def test_times_give_the_verdict(key: str, seconds: dict[str, list[float]], said: Verdict) -> None:
    assert getattr(claims, key)(evidence(seconds=rounds(**seconds))).verdict == said


def test_single_adv_that_costs_more_than_iter_adv_is_not_cheaper() -> None:
    slow = {name: [200.0] * 20 for name in claims.SINGLE_ADV}
    found = claims.single_adv_is_cheaper_than_iter_adv(evidence(seconds=rounds(**slow)))
    assert found.verdict == DOES_NOT_HOLD


def test_a_saving_is_paired_by_round() -> None:
    """The machine slows down by half in the end, and both defenses with it."""
    (more, _) = claims.proposed_is_cheaper_than_atda(evidence()).conditions
    assert more.ours.mean == pytest.approx(0.2873, abs=1e-4)
    assert more.ours.upper - more.ours.lower < 1e-9


def test_a_few_rounds_leave_the_times_open() -> None:
    found = claims.proposed_is_cheaper_than_atda(evidence(seconds=rounds(5)))
    assert found.verdict == CANNOT_BE_TOLD
    assert found.conditions[0].figure == "28.73% (interval not known, too few rounds)"


def test_the_condition_shown_of_a_curve_is_the_one_that_decides() -> None:
    found = claims.accuracy_never_rises(evidence({("mnist", "bim10_adv", 10, 4): 50.0}))
    (shown,) = [condition for condition in found.conditions if "MNIST, BIM(10)-Adv" in condition.quantity and not condition.met]
    assert shown.quantity == "MNIST, BIM(10)-Adv, iterate 5 less 4"


def test_the_paper_s_figures_are_those_of_its_table() -> None:
    found = {claim.key: claim.paper for claim in judge_all(evidence())}
    assert found["proposed_beats_atda"].startswith("+7.61, +9.84, +13.94 and +16.93 points")
    assert found["finer_training_is_better_on_fashion_mnist"].startswith("+3.67 and +4.79 points")
    assert found["proposed_is_cheaper_than_atda"].startswith("28.73% less")
    assert found["single_adv_is_cheaper_than_iter_adv"].startswith("up to 85% less")


# What was not evaluated


@pytest.mark.parametrize(
    ("key", "lacking", "reason"),
    [
        ("bim_converges", {"dataset": "mnist", "iterations": 5}, "BIM(5) of mnist/bim10_adv"),
        ("undefended_are_below_chance", {"defense": "vanilla"}, "BIM(N) with N > 4 of mnist/vanilla"),
        ("accuracy_never_rises", {"iterate": 7}, "iterate 7 of BIM(10) of mnist/vanilla"),
        ("undefended_fall_early", {"iterate": 8, "dataset": "fmnist"}, "iterate 8 of BIM(10) of fmnist/vanilla"),
        ("most_is_lost_early", {"iterate": 0}, "iterate 0 of BIM(10) of mnist/bim10_adv"),
        ("finer_training_is_no_better_on_mnist", {"defense": "bim30_adv"}, "BIM(10) of mnist/bim30_adv"),
        ("finer_training_is_better_on_fashion_mnist", {"iterations": 30}, "BIM(30) of fmnist/bim30_adv"),
        ("proposed_beats_atda", {"defense": "atda", "dataset": "fmnist"}, "BIM(10) of fmnist/atda"),
        ("proposed_matches_bim10_adv", {"defense": "proposed"}, "BIM(10) of mnist/proposed"),
    ],
)
def test_what_was_not_evaluated_is_named_and_cannot_be_told(key: str, lacking: dict[str, Any], reason: str) -> None:
    found = getattr(claims, key)(without(evidence(), **lacking))
    assert (found.verdict, found.conditions, found.rule) == (CANNOT_BE_TOLD, (), f"not evaluated here: {reason}")


def test_convergence_needs_a_larger_n_than_the_one_it_is_claimed_for() -> None:
    found = claims.bim_converges(without(evidence(), iterations=30))
    assert found.rule == "not evaluated here: BIM(N) with N > 10 of fmnist/bim10_adv"


def test_a_time_that_was_not_measured_is_named() -> None:
    times = rounds()
    found = evidence(seconds=times[times["defense"] != "atda"])
    for key in ("proposed_is_cheaper_than_atda", "single_adv_is_cheaper_than_iter_adv"):
        judged = getattr(claims, key)(found)
        assert (judged.verdict, judged.rule) == (CANNOT_BE_TOLD, "not evaluated here: training time of atda")


def test_a_configuration_without_the_paper_s_names_cannot_tell_a_thing() -> None:
    full = evidence()
    renamed = full.evaluations.assign(dataset="kmnist")
    times = rounds()
    mine = times[times["defense"] == "proposed"].assign(defense="mine")
    other = Evidence(renamed, mine, {"kmnist": "KMNIST"}, {"mine": "Mine"})
    assert {claim.verdict for claim in judge_all(other)} == {CANNOT_BE_TOLD}


# What is written


def test_the_note_says_what_the_intervals_leave_out() -> None:
    one = claims_page.note(evidence(), "small_cnn, 4,000 images", "a machine")
    three = claims_page.note(evidence(seeds=3), "small_cnn, 4,000 images", "a machine")
    for said in ("small_cnn, 4,000 images", "10,000 test images", "20 rounds, on a machine"):
        assert said in one
    assert "of one seed" in one
    assert "over images only, and the seed's luck comes on top" in one
    assert "of 3 seeds; the 95% intervals are over seeds" in three
    assert "luck" not in three


def test_the_page_has_every_claim_and_escapes_titles() -> None:
    full = evidence()
    judged = judge_all(Evidence(full.evaluations, full.timing_blocks, DATASETS, DEFENSES | {"atda": "<A&B>"}))
    page, markdown = claims_page.to_html(judged, "about <it>"), claims_page.to_markdown(judged, "about <it>")
    assert "Proposed less &lt;A&amp;B&gt; under BIM(10)" in page
    assert "<A&B>" not in page
    assert "about &lt;it&gt;" in page
    assert page.count('class="badge holds"') == 11
    assert not re.search(r"(src|href)=", page), "the page stands by itself"
    assert markdown.count("\n## ") == len(judged) == 11
    for claim in judged:
        assert claim.sentence in markdown
        for condition in claim.conditions:
            assert condition.figure in page
            assert f"- {escape_markdown(str(condition))}\n" in markdown.replace("\n\n", "\n")


def test_the_script_writes_table_and_pages(tmp_path: Path) -> None:
    found = without(evidence(), defense="vanilla")
    for name, table in (("mnist/cell", found.evaluations), ("timing_blocks", found.timing_blocks)):
        made = provenance({}, "a machine")
        write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / f"{name}.parquet", made)
    outputs = [text for kind in ("parquet", "md", "html") for text in (f"--{kind}", str(tmp_path / f"claims.{kind}"))]
    options = ["--timing-blocks", str(tmp_path / "timing_blocks.parquet"), "--scale", "tiny", *outputs]
    titles = ["--datasets", json.dumps(DATASETS), "--defenses", json.dumps(DEFENSES)]
    result = CliRunner().invoke(script.main, [str(tmp_path / "mnist" / "cell.parquet"), *options, *titles])
    assert result.exit_code == 0, result.output
    table = read_table(tmp_path / "claims.parquet").to_pandas().set_index("key")
    assert len(table) == 11
    assert table.loc["proposed_beats_atda", "verdict"] == "holds"
    assert len(table.loc["proposed_beats_atda", "ours"]) == 8
    assert table.loc["undefended_fall_early", "verdict"] == "cannot be told"
    assert set(read_provenance(tmp_path / "claims.parquet")["inputs"]) == {"mnist/cell", f"{tmp_path.name}/timing_blocks"}
    assert "on a machine" in (tmp_path / "claims.md").read_text()
    assert "on a machine" in (tmp_path / "claims.html").read_text()
