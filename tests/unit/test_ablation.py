import itertools

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from advtrain.report.step_and_reset import ablation_table, answer, page, step
from advtrain.report.step_and_reset_map import BEST, PAPERS, ablation_map
from advtrain.results.parquet import evaluation_table
from synthetic import outcome_row

GRID = {"proposed": [10, 20], "proposed__step10_reset80": [10, 80], "proposed__step1_reset20": [1, 20], "other": [1, 80]}
EQUAL = dict.fromkeys(GRID, 500)


def table(correct: dict[str, int], classifiers: dict[str, list[int]] = GRID, seeds: int = 1) -> pd.DataFrame:
    """Under PGD and BIM(10) each classifier is right on so many of 1,000 images; everybody is on 990 clean ones."""
    rows = []
    for dataset, classifier, seed in itertools.product(("mnist", "fmnist"), classifiers, range(seeds)):
        cell = {"dataset": dataset, "defense": classifier, "seed": seed}
        rows.append({**cell, **outcome_row("clean", 990, 1000, 0)})
        rows.append({**cell, **outcome_row("fgsm", 800, 1000, 1)})
        rows.append({**cell, **outcome_row("bim", correct[classifier] + 50, 1000, 10)})
        rows.append({**cell, **outcome_row("bim", correct[classifier] + 20, 1000, 30)})
        rows.append({**cell, **outcome_row("pgd", correct[classifier] + seed, 1000, 40, loss="worst", restarts=10)})
    return ablation_table(evaluation_table(rows).to_pandas(), classifiers, ["mnist", "fmnist"], 80)


def pgd(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["dataset"] == "mnist") & (table["column"] == "PGD")]


def test_each_choice_has_its_figures_and_the_difference_from_the_paper_s_choice() -> None:
    rows = pgd(table(EQUAL | {"other": 600})).set_index(["step_divisor", "reset_epochs"])
    assert rows.loc[(10, 20), "mean"] == pytest.approx(50.0)
    assert pd.isna(rows.loc[(10, 20), "difference"])
    assert rows.loc[(1, 80), "difference"] == pytest.approx(10.0)
    assert rows.loc[(1, 80), "difference_lower"] < 10 < rows.loc[(1, 80), "difference_upper"]
    assert rows["never"].to_dict() == {(10, 20): False, (10, 80): True, (1, 20): False, (1, 80): True}


def test_over_seeds_the_difference_is_paired_by_seed() -> None:
    rows = pgd(table(EQUAL | {"other": 600}, seeds=3)).set_index(["step_divisor", "reset_epochs"])
    assert rows.loc[(1, 80), "std"] == pytest.approx(0.1)
    assert rows.loc[(1, 80), "difference_lower"] == pytest.approx(10.0), "the seeds differ by the same"


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        (
            {"proposed": 600},
            ["lies at the optimum of the 4 tried: 60.00%. ", "Better than it by more than the 95% interval: 0"],
        ),
        ({}, ["lies at the optimum of the 4 tried: 50.00%, together with a step of ε/10 with no reset; "]),
        (
            {"other": 501},
            ["may lie at the optimum, as no other choice shows as better", "a step of ε with no reset (+0.10 points"],
        ),
        ({"other": 700}, ["does not seem to lie at the optimum", "has 70.00%", "interval: 1 of the other 3", "Chance alone"]),
    ],
    ids=["the best", "one of the best", "nearly the best", "not the best"],
)
def test_whether_the_paper_s_choice_is_the_best_is_said_as_the_figures_have_it(correct: dict, words: list[str]) -> None:
    said = answer(pgd(table(EQUAL | correct)))
    for part in words:
        assert part in said


def test_without_the_paper_s_choice_it_is_not_told() -> None:
    others = {name: choice for name, choice in GRID.items() if name != "proposed"}
    assert "is not among them: whether it lies at the optimum is not told" in answer(pgd(table(EQUAL, others)))


def test_people_read_a_grid_for_each_data_set_and_measure_with_what_it_leaves_out() -> None:
    note, *sections = page(table(EQUAL | {"other": 600}), {"mnist": "MNIST", "fmnist": "Fashion"}, "2,000 images, 80 epochs")
    assert "2,000 images, 80 epochs" in note.text
    assert "which favours it over the paper's" in note.text
    assert "another may put the choices in another order" in note.text
    assert [section.heading for section in sections] == ["MNIST: PGD", "MNIST: BIM(10)", "Fashion: PGD", "Fashion: BIM(10)"]
    grid = sections[0].table
    assert grid is not None
    assert grid.to_dict("index") == {
        "ε/10": {"Every 20 epochs": "50.00, the paper's", "Never": "50.00"},
        "ε": {"Every 20 epochs": "50.00", "Never": "60.00, best"},
    }


def test_a_step_is_written_as_a_share_of_epsilon() -> None:
    assert [step(divisor) for divisor in (20, 10, 1)] == ["ε/20", "ε/10", "ε"]


def test_the_heat_maps_frame_the_paper_s_choice_and_star_the_best() -> None:
    figure = ablation_map(table(EQUAL | {"other": 600}), {"mnist": "MNIST", "fmnist": "Fashion-MNIST"})
    panels = figure.axes[:4]
    assert [axis.get_title() for axis in panels] == [
        "(a) MNIST: BIM(10)",
        "(b) Fashion-MNIST: BIM(10)",
        "(c) MNIST: PGD",
        "(d) Fashion-MNIST: PGD",
    ]
    for axis in panels:
        assert [label.get_text() for label in axis.get_yticklabels()] == ["ε/10", "ε"]
        assert [label.get_text() for label in axis.get_xticklabels()] == ["20", "never"]
        (frame,) = axis.patches
        assert (frame.get_label(), round(frame.get_x()), round(frame.get_y())) == (PAPERS, 0, 0)
        (star,) = axis.get_lines()
        assert (star.get_label(), star.get_xydata().tolist()) == (BEST, [[1.5, 1.8]])
    plt.close(figure)
