import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from advtrain.system.errors import InputError
from advtrain.report.robustness_and_price import PAPERS, WORST, pareto_figure, pareto_table, worst_case
from advtrain.results.parquet import evaluation_row, evaluation_table
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "A data set with a $ in its title"}
DEFENSES = {"cheap": "Cheap", "middling": "Middling", "dear": "Dear", "wasteful": "Wasteful"}
ROBUST = {"cheap": 200, "middling": 600, "dear": 700, "wasteful": 650}
SECONDS = {"cheap": 1.0, "middling": 2.0, "dear": 10.0, "wasteful": 20.0}


def evaluations(seeds: int = 1) -> pd.DataFrame:
    rows = []
    for dataset in DATASETS:
        for defense, robust in ROBUST.items():
            for seed in range(seeds):
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                rows.append({**cell, **outcome_row("clean", 990, 1000, 0)})
                rows.append({**cell, **outcome_row("bim", 900, 1000, 10)})
                rows.append({**cell, **outcome_row("autoattack", robust + seed, 1000, 0)})
    return evaluation_table(rows).to_pandas()


def timing() -> pd.DataFrame:
    median = pd.Series(SECONDS)
    quartiles = {"seconds_median": median, "seconds_lower": 0.9 * median, "seconds_upper": 1.1 * median}
    return pd.DataFrame(quartiles).rename_axis("defense").reset_index()


def table(seeds: int = 1) -> pd.DataFrame:
    return pareto_table(evaluations(seeds), timing(), DATASETS, DEFENSES)


def test_an_image_is_right_in_the_worst_case_if_it_withstood_every_attack_on_the_images_that_all_attacked() -> None:
    def row(attack: str, right: list[int]) -> dict:
        flags = np.array(right, dtype=bool)
        return {"seed": 0, **evaluation_row(attack, flags, epsilon=0.3, step_size=None, iterations=10)}

    cell = pd.DataFrame([row("clean", [1, 1, 1, 0, 1]), row("bim", [1, 0, 1, 0, 1]), row("autoattack", [1, 1, 0, 0])])
    (worst,) = worst_case(cell).to_dict("records")
    assert (worst["correct"], worst["examples"]) == (1, 4)


def test_each_classifier_has_the_worst_of_all_attacks_beside_the_paper_s_measure() -> None:
    found = table().set_index(["dataset", "defense", "measure"])
    assert found.loc[("mnist", "dear", WORST), "mean"] == pytest.approx(70.0)
    assert found.loc[("mnist", "dear", PAPERS), "mean"] == pytest.approx(90.0)
    assert found.loc[("mnist", "dear", WORST), "seconds"] == 10.0
    assert found.loc[("mnist", "dear", WORST), "lower"] < 70 < found.loc[("mnist", "dear", WORST), "upper"]


def test_with_several_seeds_the_worst_case_is_each_seed_s_own() -> None:
    row = table(seeds=3).set_index(["dataset", "defense", "measure"]).loc[("mnist", "cheap", WORST)]
    assert row["mean"] == pytest.approx(20.1)
    assert row["std"] == pytest.approx(0.1)
    assert row["seeds"] == 3


def test_the_frontier_is_of_those_that_nobody_beats_in_both() -> None:
    found = table()
    frontier = found[found["frontier"] & (found["dataset"] == "mnist")].groupby("measure")["defense"].apply(list)
    assert frontier[WORST] == ["cheap", "middling", "dear"], "wasteful is dearer than dear and less robust"
    assert frontier[PAPERS] == ["cheap"], "all are as robust under BIM(10), and cheap is the cheapest"


def test_a_classifier_that_was_not_timed_is_named() -> None:
    with pytest.raises(InputError, match="the training time of dear was not measured"):
        pareto_table(evaluations(), timing().query("defense != 'dear'"), DATASETS, DEFENSES)


def test_the_figure_has_both_measures_of_each_classifier_at_its_seconds() -> None:
    figure = pareto_figure(table(), DATASETS, DEFENSES)
    for axis in figure.axes:
        marks = {
            (float(x), round(float(y), 3))
            for line in axis.get_lines()
            for x, y in line.get_xydata()
            if line.get_marker() != "None"
        }
        assert marks >= {(seconds, ROBUST[name] / 10) for name, seconds in SECONDS.items()}
        assert marks >= {(seconds, 90.0) for seconds in SECONDS.values()}
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [*DEFENSES.values(), "Under BIM(10) alone", "Nobody cheaper is as robust"]
    plt.close(figure)
