"""The step and the period of resets of Proposed: the grid, whether the paper's choice may be its best, and the heat maps."""

import itertools

import pandas as pd
import pytest

from advtrain.report.step_and_reset import ablation_table, answer, page
from advtrain.report.step_and_reset_map import HIGHEST, HIGHEST_HELD_OUT, PAPERS, ablation_map
from evaluated import DATASETS, evaluated, labels_of

GRID = {"proposed": [10, 20], "proposed__step10_reset80": [10, 80], "proposed__step1_reset20": [1, 20], "other": [1, 80]}
LABELS = labels_of("proposed")


def table(
    classifiers: dict[str, list[int]] = GRID, seeds: int = 1, held_out: dict[str, float] | None = None, **correct: int
) -> pd.DataFrame:
    """Each classifier is right on half of the images under PGD, or on `correct` of 500, and on 5 points more under BIM(10).

    `held_out`: its share of the images held out, if any were.
    """
    rows = []
    for dataset in DATASETS:
        for name in classifiers:
            for seed in range(seeds):
                right = correct.get(name, 250)
                bim = {"bim10": 2 * right + 50, "bim30": 2 * right + 20}
                rows += evaluated(dataset, name, seed, clean=990, fgsm=800, **bim, pgd=right + seed)
    histories = [
        {"dataset": dataset, "defense": name, "epoch": epoch, "pgd_accuracy": share if epoch == 80 else 1.0}
        for dataset, (name, share), epoch in itertools.product(DATASETS, (held_out or {}).items(), (1, 80))
    ]
    return ablation_table(pd.DataFrame(rows), pd.DataFrame(histories), classifiers, list(DATASETS), 80)


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
        (
            {"proposed": 300},
            ["tried, 60.20% here: step ε/10, reset every 20", "may be the best", "0 are better and 3 are worse"],
        ),
        ({}, ["reset every 20 epochs; step ε/10, reset never (+0.00 points", "may be the best"]),
        (
            {"other": 350},
            ["highest of the 4 tried, 70.20% here", "does not seem to be the best", "Of the other 3, 1 are better"],
        ),
    ],
    ids=["the highest", "one of the highest", "not the highest"],
)
def test_the_page_says_whether_the_paper_s_choice_may_be_the_best(correct: dict[str, int], words: list[str]) -> None:
    said = answer(pgd(table(seeds=3, **correct)))
    assert [part for part in words if part not in said] == []
    others = {name: choice for name, choice in GRID.items() if name != "proposed"}
    assert "reset every 20 epochs, was not tried." in answer(pgd(table(others, seeds=3, **correct)))


def test_one_seed_cannot_tell_the_order_however_far_apart_the_choices_are() -> None:
    rows = table(other=350)
    said = answer(pgd(rows))
    assert said.endswith(
        "step ε, reset never (+20.00 points from the paper's). The paper's own choice, step ε/10, reset every "
        "20 epochs, reaches 50.00%. One seed cannot tell their order."
    )
    assert "One seed cannot tell the order of the choices." in page(rows, LABELS)[0].text


def test_with_images_held_out_the_choice_is_picked_on_them_and_reported_on_the_test_images() -> None:
    found = table(seeds=3, held_out={**dict.fromkeys(GRID, 0.4), "other": 0.5}, proposed=350)
    rows = pgd(found)
    assert rows["validation"].to_dict() == pytest.approx({(10, 20): 40, (10, 80): 40, (1, 20): 40, (1, 80): 50})
    said = answer(rows)
    assert said.startswith("The highest on the images held out of the 4 tried, 50.20% here: step ε, reset never (-20.00 points")
    note, *_ = page(found, LABELS)
    assert "picked on training images that were held out" in note.text
    (star,) = ablation_map(found, LABELS).axes[0].get_lines()
    assert star.get_label() == HIGHEST_HELD_OUT


def test_the_page_has_a_grid_for_each_data_set_and_measure_and_says_what_it_leaves_out() -> None:
    note, *sections = page(table(other=300), LABELS)
    assert "small_cnn, 20 epochs" in note.text
    assert [section.heading for section in sections[:3]] == ["MNIST: PGD", "MNIST: BIM(10)", "Fashion-MNIST: PGD"]
    grid = sections[0].table
    assert grid is not None
    assert grid.to_dict("index") == {
        "ε/10": {"Every 20 epochs": "50.00, the paper's", "Never": "50.00"},
        "ε": {"Every 20 epochs": "50.00", "Never": "60.00, picked"},
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
        assert (star.get_label(), star.get_xydata().tolist()) == (HIGHEST, [[1.5, 1.8]])
