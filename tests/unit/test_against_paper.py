import pandas as pd
import pytest

from advtrain.report.paper_comparison import ABOVE, AGREES, BELOW, against_paper, count, page
from advtrain.report.table_one import MARK, RATIO, SECONDS, TIME


def row(defense: str, group: str, column: str, mean: float, paper: float, half: float = 1.0, **more: object) -> dict:
    figures = {"mean": mean, "std": float("nan"), "lower": mean - half, "upper": mean + half, "paper": paper}
    return {"defense": defense, "title": defense.title(), "group": group, "column": column, "seeds": 1, "failed": False} | (
        figures | more
    )


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
    found = against_paper(TABLE)
    assert found[["defense", "group", "column"]].to_numpy().tolist() == [
        ["proposed", "MNIST", "Original"],
        ["proposed", "MNIST", "BIM(10)"],
        ["proposed", "Fashion-MNIST", "BIM(30)"],
        ["proposed", TIME, RATIO],
    ], "what the paper does not have is left out, and so are seconds of another machine and a ratio to itself"
    bim10 = found.iloc[1]
    assert (bim10["paper"], bim10["ours"]) == (94.21, 90.0)
    assert (bim10["difference"], bim10["lower"], bim10["upper"]) == pytest.approx((-4.21, -5.21, -3.21))


def test_ours_agrees_where_its_interval_contains_the_paper_s_figure_and_a_time_is_not_judged() -> None:
    *accuracies, time = against_paper(TABLE)["verdict"]
    assert accuracies == [AGREES, BELOW, ABOVE]
    assert pd.isna(time)


def test_the_count_is_of_accuracies_and_the_distance_of_each_classifier() -> None:
    words = count(against_paper(TABLE))
    assert "Of 3 accuracies ours agrees with the paper's in 1, is below in 1 and above in 1." in words
    assert f"Proposed {(0.42 + 4.21 + 3.97) / 3:.2f}." in words


def test_people_read_the_paper_s_ours_and_the_difference_with_the_audit_s_mark() -> None:
    note, mnist, fashion, time, last = page(against_paper(TABLE), TABLE, "small_cnn, 40 epochs")
    assert "small_cnn, 40 epochs" in note.text
    assert "of one seed" in note.text
    assert mnist.table is not None
    assert fashion.table is not None
    assert time.table is not None
    assert mnist.table.loc["Proposed", "BIM(10)"] == f"94.21 → 90.00, -4.21 (-5.2 to -3.2), below {MARK}"
    assert fashion.table.loc["Proposed", "BIM(30)"] == "66.03 → 70.00, +3.97 (+3.0 to +5.0), above"
    assert time.table.loc["Proposed", RATIO] == "1.09 → 1.00, -0.09 (-0.11 to -0.07)"
    assert MARK in last.text
