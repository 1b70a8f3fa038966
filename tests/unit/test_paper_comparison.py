"""Table I of the paper against ours, figure by figure."""

from dataclasses import replace

import pandas as pd
import pytest

from advtrain.report.columns import RATIO, SECONDS, TIME
from advtrain.report.paper_comparison import (
    ABOVE,
    AGREES,
    BELOW,
    ONE_SEED,
    PART_OF_THE_IMAGES,
    against_paper,
    count,
    page,
)
from advtrain.report.table_one import MARK, WEAK
from evaluated import labels_of


def row(defense: str, group: str, column: str, mean: float, paper: float, **more: object) -> dict:
    """Of 3 seeds on all test images, with a standard deviation of 1: one more run is within 4.97 points of the mean."""
    cell = {"defense": defense, "title": defense.title(), "group": group, "column": column, "failed": False}
    spread = {"std": 1.0, "lower": mean - 2.48, "upper": mean + 2.48, "seeds": 3, "examples": 10_000}
    return {**cell, **spread, "mean": mean, "paper": paper, **more}


def time(defense: str, column: str, median: float, paper: float) -> dict:
    """With quartiles, and neither seeds nor images."""
    none = dict.fromkeys(("std", "seeds", "examples"), float("nan"))
    return row(defense, TIME, column, median, paper, lower=median - 0.02, upper=median + 0.02, **none)


TABLE = pd.DataFrame(
    [
        row("vanilla", "MNIST", "Original", 99.0, float("nan")),
        row("proposed", "MNIST", "Original", 99.5, 99.08),
        row("proposed", "MNIST", "BIM(10)", 90.0, 94.21),
        row("proposed", "MNIST", "BIM(30)", 89.0, 94.04, failed=True),
        row("proposed", "MNIST", "PGD", 70.0, float("nan")),
        row("proposed", "Fashion-MNIST", "BIM(30)", 71.12, 66.03),
        time("fgsm_adv", SECONDS, 8.0, 17.12),
        time("fgsm_adv", RATIO, 1.0, 1.0),
        time("proposed", SECONDS, 9.0, 18.68),
        time("proposed", RATIO, 1.0, 1.09),
    ]
)


ONE_SEED_ONLY = TABLE.assign(
    std=float("nan"), lower=float("nan"), upper=float("nan"), seeds=TABLE["seeds"].where(TABLE["seeds"].isna(), 1)
)


def test_each_figure_of_the_paper_has_ours_the_difference_and_the_interval_of_one_more_run() -> None:
    """What the paper does not have is left out, and so are seconds of another machine and a ratio to itself."""
    found = against_paper(TABLE)
    compared = [
        ("MNIST", "Original"),
        ("MNIST", "BIM(10)"),
        ("MNIST", "BIM(30)"),
        ("Fashion-MNIST", "BIM(30)"),
        (TIME, RATIO),
    ]
    assert list(zip(found["group"], found["column"], strict=True)) == compared
    bim10 = found.loc[1, ["paper", "ours", "difference", "lower", "upper"]]
    assert bim10.tolist() == pytest.approx([94.21, 90.0, -4.21, 85.03, 94.97], abs=0.01)
    assert found.loc[0, "upper"] == 100, "no run has more"
    assert found.loc[4, ["lower", "upper"]].tolist() == pytest.approx([0.98, 1.02]), "quartiles"


def test_ours_agrees_where_the_paper_s_run_could_be_one_more_of_ours_and_a_time_is_not_judged() -> None:
    """Of the second, the interval of the mean would leave the paper's figure out."""
    *accuracies, time = against_paper(TABLE)["verdict"]
    assert accuracies == [AGREES, AGREES, BELOW, ABOVE]
    assert pd.isna(time)


def test_an_interval_ends_where_accuracies_do_and_the_paper_s_figure_on_its_end_agrees() -> None:
    low = row("fgsm_adv", "MNIST", "BIM(30)", 2.0, 0.0)
    high = row("proposed", "MNIST", "Original", 99.5, 100.0)
    found = against_paper(pd.DataFrame([low, high]))
    assert found["lower"].iloc[0] == 0
    assert found["upper"].iloc[1] == 100
    assert found["verdict"].tolist() == [AGREES, AGREES]


@pytest.mark.parametrize(("table", "reason"), [(ONE_SEED_ONLY, ONE_SEED), (TABLE.assign(examples=1000), PART_OF_THE_IMAGES)])
def test_one_seed_and_a_part_of_the_images_have_figures_and_differences_and_no_verdict(
    table: pd.DataFrame, reason: str
) -> None:
    found = against_paper(table)
    assert found["verdict"].isna().all()
    assert found["difference"].tolist() == pytest.approx(against_paper(TABLE)["difference"].tolist())
    _, mnist, *_ = page(found, labels_of("proposed"))
    assert mnist.table is not None
    assert mnist.table.loc["Proposed", "BIM(10)"].endswith(f", -4.21, {reason}")
    assert count(found).startswith("Which accuracies agree with the paper's cannot be told.")
    assert not any(f" {verdict} " in count(found) for verdict in (AGREES, ABOVE, BELOW))


@pytest.mark.parametrize("table", [TABLE.iloc[:1], TABLE[TABLE["group"] == TIME]], ids=["a classifier", "a data set"])
def test_of_what_the_paper_does_not_have_the_page_says_so(table: pd.DataFrame) -> None:
    labels = replace(labels_of("proposed"), datasets={"letters": "Letters", "mnist": "MNIST"})
    (only,) = page(against_paper(table), labels)
    assert only.text == "The paper has no figures of these classifiers on Letters or MNIST."


def test_the_count_is_of_accuracies_that_can_be_judged_and_the_distance_of_each_classifier() -> None:
    words = count(against_paper(TABLE))
    assert "Of 4 accuracies that can be judged ours agrees with the paper's in 2, is below in 1 and above in 1;" in words
    assert "about 0.2 would not agree, by chance" in words
    assert f"Proposed {(0.42 + 4.21 + 5.04 + 5.09) / 4:.2f}." in words
    some = pd.concat([TABLE.iloc[:3], ONE_SEED_ONLY.iloc[3:]])
    assert "Of 2 accuracies that can be judged" in count(against_paper(some))


def test_the_page_has_the_paper_s_ours_with_the_interval_and_the_difference_with_the_audit_s_mark() -> None:
    labels = labels_of("proposed", departures={"proposed": "batch_size 32"})
    note, *sections, last = page(against_paper(TABLE), labels)
    mnist, fashion, time = (section.table for section in sections if section.table is not None)
    assert "on 10,000 images" in note.text
    assert "small_cnn, 20 epochs. Trained otherwise: Proposed with batch_size 32." in note.text
    assert mnist.loc["Proposed", "BIM(30)"] == f"94.04 → 89.00 (84.0 to 94.0), -5.04, below {MARK}"
    assert fashion.loc["Proposed", "BIM(30)"] == "66.03 → 71.12 (66.2 to 76.1), +5.09, above"
    assert time.loc["Proposed", RATIO] == "1.09 → 1.00 (0.98 to 1.02), -0.09"
    assert MARK in last.text
    assert WEAK in note.text
