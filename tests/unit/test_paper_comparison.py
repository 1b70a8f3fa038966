"""Table I of the paper against ours, figure by figure."""

import pandas as pd
import pytest

from advtrain.report.columns import RATIO, SECONDS, TIME
from advtrain.report.paper_comparison import ABOVE, AGREES, BELOW, against_paper, count, page
from advtrain.report.table_one import MARK
from evaluated import labels_of


def row(defense: str, group: str, column: str, mean: float, paper: float, half: float = 1.0, **more: object) -> dict:
    cell = {"defense": defense, "title": defense.title(), "group": group, "column": column, "seeds": 1, "failed": False}
    return {**cell, "mean": mean, "lower": mean - half, "upper": mean + half, "paper": paper, **more}


TABLE = pd.DataFrame(
    [
        row("vanilla", "MNIST", "Original", 99.0, float("nan")),
        row("proposed", "MNIST", "Original", 99.5, 99.08),
        row("proposed", "MNIST", "BIM(10)", 90.0, 94.21, failed=True),
        row("proposed", "MNIST", "PGD", 70.0, float("nan")),
        row("proposed", "Fashion-MNIST", "BIM(30)", 70.0, 66.03),
        row("fgsm_adv", TIME, SECONDS, 8.0, 17.12),
        row("fgsm_adv", TIME, RATIO, 1.0, 1.0, half=0.0),
        row("proposed", TIME, SECONDS, 9.0, 18.68),
        row("proposed", TIME, RATIO, 1.0, 1.09, half=0.02),
    ]
)


def test_each_figure_of_the_paper_has_ours_the_difference_and_its_interval() -> None:
    """What the paper does not have is left out, and so are seconds of another machine and a ratio to itself."""
    found = against_paper(TABLE)
    compared = [("MNIST", "Original"), ("MNIST", "BIM(10)"), ("Fashion-MNIST", "BIM(30)"), (TIME, RATIO)]
    assert list(zip(found["group"], found["column"], strict=True)) == compared
    bim10 = found.loc[1, ["paper", "ours", "difference", "lower", "upper"]]
    assert bim10.tolist() == pytest.approx([94.21, 90.0, -4.21, -5.21, -3.21])


def test_ours_agrees_where_its_interval_contains_the_paper_s_figure_and_a_time_is_not_judged() -> None:
    *accuracies, time = against_paper(TABLE)["verdict"]
    assert accuracies == [AGREES, BELOW, ABOVE]
    assert pd.isna(time)


def test_the_count_is_of_accuracies_and_the_distance_of_each_classifier() -> None:
    words = count(against_paper(TABLE))
    assert "Of 3 accuracies ours agrees with the paper's in 1, is below in 1 and above in 1." in words
    assert f"Proposed {(0.42 + 4.21 + 3.97) / 3:.2f}." in words


def test_the_page_has_the_paper_s_ours_and_the_difference_with_the_audit_s_mark() -> None:
    labels = labels_of("proposed", departures={"proposed": "batch_size 32"})
    note, *sections, last = page(against_paper(TABLE), TABLE, labels)
    mnist, fashion, time = (section.table for section in sections if section.table is not None)
    assert "small_cnn, 20 epochs. Trained otherwise: Proposed with batch_size 32." in note.text
    assert mnist.loc["Proposed", "BIM(10)"] == f"94.21 → 90.00, -4.21 (-5.2 to -3.2), below {MARK}"
    assert fashion.loc["Proposed", "BIM(30)"] == "66.03 → 70.00, +3.97 (+3.0 to +5.0), above"
    assert time.loc["Proposed", RATIO] == "1.09 → 1.00, -0.09 (-0.11 to -0.07)"
    assert MARK in last.text
