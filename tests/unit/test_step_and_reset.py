"""The step and the period of resets of Proposed: the grid, whether the paper's choice is the best of it, and the heat maps."""

import pandas as pd
import pytest

from advtrain.report.step_and_reset import ablation_table, answer, page
from advtrain.report.step_and_reset_map import BEST, PAPERS, ablation_map
from evaluated import DATASETS, evaluated, labels_of

GRID = {"proposed": [10, 20], "proposed__step10_reset80": [10, 80], "proposed__step1_reset20": [1, 20], "other": [1, 80]}
LABELS = labels_of("proposed")


def table(classifiers: dict[str, list[int]] = GRID, seeds: int = 1, **correct: int) -> pd.DataFrame:
    """Each classifier is right on half of the images under PGD, or on `correct` of 500, and on 5 points more under BIM(10)."""
    rows = []
    for dataset in DATASETS:
        for name in classifiers:
            for seed in range(seeds):
                right = correct.get(name, 250)
                bim = {"bim10": 2 * right + 50, "bim30": 2 * right + 20}
                rows += evaluated(dataset, name, seed, clean=990, fgsm=800, **bim, pgd=right + seed)
    return ablation_table(pd.DataFrame(rows), classifiers, list(DATASETS), 80)


def pgd(found: pd.DataFrame) -> pd.DataFrame:
    rows = found[(found["dataset"] == "mnist") & (found["column"] == "PGD")]
    return rows.set_index(["step_divisor", "reset_epochs"], drop=False)


def test_each_choice_has_its_figures_and_the_difference_from_the_paper_s_choice_paired_by_image_or_seed() -> None:
    rows = pgd(table(other=300))
    assert rows.loc[(10, 20), "mean"] == pytest.approx(50.0)
    assert pd.isna(rows.loc[(10, 20), "difference"])
    other = rows.loc[(1, 80)]
    assert (other["difference"], other["never"]) == (pytest.approx(10.0), True)
    assert other["difference_lower"] < 10 < other["difference_upper"]
    over_seeds = pgd(table(other=300, seeds=3)).loc[(1, 80)]
    assert over_seeds["std"] == pytest.approx(0.2)
    assert over_seeds["difference_lower"] == pytest.approx(10.0), "it is the same in each seed"


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        ({"proposed": 300}, ["lies at the optimum of the 4 tried: 60.00%. ", "interval: 0 of the other 3. Worse: 3."]),
        ({}, ["lies at the optimum of the 4 tried: 50.00%, together with a step of ε/10 with no reset; "]),
        ({"other": 251}, ["may lie at the optimum", "no other choice is clearly better", "ε with no reset (+0.20 points"]),
        ({"other": 350}, ["does not seem to lie at the optimum", "has 70.00%", "interval: 1 of the other 3", "chance alone"]),
    ],
    ids=["the best", "one of the best", "nearly the best", "not the best"],
)
def test_the_page_says_whether_the_paper_s_choice_is_the_best(correct: dict[str, int], words: list[str]) -> None:
    said = answer(pgd(table(**correct)))
    assert [part for part in words if part not in said] == []
    others = {name: choice for name, choice in GRID.items() if name != "proposed"}
    assert "whether it lies at the optimum cannot be told" in answer(pgd(table(others, **correct)))


def test_the_page_has_a_grid_for_each_data_set_and_measure_and_says_what_it_leaves_out() -> None:
    note, *sections = page(table(other=300), LABELS)
    assert "small_cnn, 20 epochs" in note.text
    assert [section.heading for section in sections[:3]] == ["MNIST: PGD", "MNIST: BIM(10)", "Fashion-MNIST: PGD"]
    grid = sections[0].table
    assert grid is not None
    assert grid.to_dict("index") == {
        "ε/10": {"Every 20 epochs": "50.00, the paper's", "Never": "50.00"},
        "ε": {"Every 20 epochs": "50.00", "Never": "60.00, best"},
    }


def test_the_heat_maps_frame_the_paper_s_choice_and_star_the_best() -> None:
    panels = ablation_map(table(other=300), LABELS).axes[:4]
    expected = ["(a) MNIST: BIM(10)", "(b) Fashion-MNIST: BIM(10)", "(c) MNIST: PGD", "(d) Fashion-MNIST: PGD"]
    assert [axis.get_title() for axis in panels] == expected
    for axis in panels:
        assert [label.get_text() for label in axis.get_yticklabels()] == ["ε/10", "ε"]
        assert [label.get_text() for label in axis.get_xticklabels()] == ["20", "never"]
        (frame,) = axis.patches
        assert (frame.get_label(), round(frame.get_x()), round(frame.get_y())) == (PAPERS, 0, 0)
        (star,) = axis.get_lines()
        assert (star.get_label(), star.get_xydata().tolist()) == (BEST, [[1.5, 1.8]])
