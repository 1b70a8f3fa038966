"""Accuracy under all attacks together against the price of the training."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from advtrain.evaluation.table import Row, evaluation_row
from advtrain.report.columns import STRONGEST, worst_case
from advtrain.report.robustness_and_price import PAPERS, pareto_figure, pareto_table
from advtrain.system.errors import InputError
from evaluated import evaluated, labels_of

ROBUST = {"cheap": 20, "middling": 60, "costly": 70, "wasteful": 65}
SECONDS = {"cheap": 1.0, "middling": 2.0, "costly": 10.0, "wasteful": 20.0}
PASSES = {"cheap": 3.0, "middling": 2.0, "costly": 10.0, "wasteful": 4.0}
EPOCHS = {"cheap": 10, "middling": 10, "costly": 10, "wasteful": 1}
LABELS = labels_of(
    datasets={"mnist": "MNIST", "fmnist": "A data set with a $ in its title"}, defenses={name: name.title() for name in ROBUST}
)
TIMING = pd.DataFrame(
    [(defense, median, 0.9 * median, 1.1 * median, PASSES[defense]) for defense, median in SECONDS.items()],
    columns=["defense", "seconds_median", "seconds_lower", "seconds_upper", "passes"],
)


def table(seeds: int = 1, timing: pd.DataFrame = TIMING) -> pd.DataFrame:
    rows = []
    for dataset, (defense, robust), seed in itertools.product(LABELS.datasets, ROBUST.items(), range(seeds)):
        rows += evaluated(dataset, defense, seed, clean=990, bim10=900, autoattack=robust + seed)
    return pareto_table(pd.DataFrame(rows), timing, EPOCHS, LABELS).set_index(["dataset", "defense", "measure"], drop=False)


def test_an_image_is_right_in_the_worst_case_if_it_withstood_every_attack_on_the_images_that_all_attacked() -> None:
    def row(attack: str, right: list[int]) -> Row:
        flags = np.array(right, dtype=bool)
        row = evaluation_row(attack, flags, epsilon=0.3, step_size=None, iterations=10)
        return {"seed": 0, **row, "chance": 1 / len(right)}

    cell = pd.DataFrame([row("clean", [1, 1, 1, 0, 1]), row("bim", [1, 0, 1, 0, 1]), row("autoattack", [1, 1, 0, 0])])
    (worst,) = worst_case(cell).to_dict("records")
    assert (worst["correct"], worst["examples"], worst["chance"]) == (1, 4, 1 / 4)


def test_each_classifier_has_its_accuracy_under_all_attacks_and_under_the_paper_s_over_images_or_seeds() -> None:
    found = table()
    worst = found.loc["mnist", "costly", STRONGEST]
    assert worst[["mean", "seconds", "passes", "epochs"]].tolist() == pytest.approx([70, 100, 100, 10])
    assert worst[["seconds_lower", "seconds_upper"]].tolist() == pytest.approx([90, 110])
    assert worst["lower"] < 70 < worst["upper"]
    assert found.loc[("mnist", "costly", PAPERS), "mean"] == pytest.approx(90.0)
    over_seeds = table(seeds=3).loc["mnist", "cheap", STRONGEST]
    assert over_seeds[["mean", "std", "seeds"]].tolist() == pytest.approx([21, 1, 3])


def test_the_frontier_is_of_those_that_no_other_beats_in_both_by_their_means_over_seeds() -> None:
    """Of whole trainings: an epoch of wasteful is the costliest, and its one epoch is cheap."""
    found = table(seeds=2).loc["mnist"]
    on_it = {
        (cost, measure): list(rows["defense"][rows[f"frontier_{cost}"]])
        for cost in ("seconds", "passes")
        for measure, rows in found.groupby(level="measure")
    }
    assert on_it["seconds", STRONGEST] == ["cheap", "costly", "wasteful"], "middling costs as much as wasteful, for less"
    assert on_it["passes", STRONGEST] == ["costly", "wasteful"]
    assert on_it["seconds", PAPERS] == ["cheap"], "all are as robust under BIM(10)"
    assert on_it["passes", PAPERS] == ["wasteful"]


@pytest.mark.parametrize(
    ("clean", "autoattack"),
    [(100, 17), (990, 10), (990, 12)],
    ids=["clean images", "adversarial examples", "adversarial examples, as often as by chance"],
)
def test_a_classifier_that_guesses_is_not_on_the_frontier_however_cheap(clean: int, autoattack: int) -> None:
    """One that gives every image the same class may be right on 17 of 100."""
    rows = [
        row
        for seed in range(2)
        for name, (right, robust) in {"cheap": (clean, autoattack), "costly": (990, 70)}.items()
        for row in evaluated("mnist", name, seed, clean=right, bim10=900, autoattack=robust)
    ]
    labels = labels_of(datasets={"mnist": "MNIST"}, defenses={"cheap": "Cheap", "costly": "Costly"})
    found = pareto_table(pd.DataFrame(rows), TIMING, EPOCHS, labels).set_index(["measure", "defense"])
    assert found["frontier_seconds"].loc[STRONGEST].to_dict() == {"cheap": False, "costly": True}


def test_one_seed_has_no_frontier_and_its_figure_neither_line_nor_interval() -> None:
    found = table()
    assert found[["frontier_seconds", "frontier_passes"]].isna().all(axis=None)
    one, three = (pareto_figure(shown, LABELS) for shown in (found, table(seeds=3)))
    for figure, known in ((one, 0), (three, 1)):
        for axis in figure.axes:
            assert sum(line.get_drawstyle() == "steps-post" for line in axis.get_lines()) == known
            assert ("On the line: " in axis.get_xlabel()) == known
            ends = {len(bar.lines[2][-1].get_segments()[0]) for bar in axis.containers}
            assert ends == {2 * known}
        assert sum("cheaper" in text.get_text() for text in figure.legends[0].get_texts()) == known


def test_a_classifier_of_one_seed_leaves_the_others_without_a_frontier_too() -> None:
    rows = [row for name in ROBUST for row in evaluated("mnist", name, clean=990, bim10=900, autoattack=20)]
    rows += [row for name in ("cheap", "costly") for row in evaluated("mnist", name, 1, clean=990, bim10=900, autoattack=20)]
    found = pareto_table(pd.DataFrame(rows), TIMING, EPOCHS, dataclasses.replace(LABELS, datasets={"mnist": "MNIST"}))
    assert found[["frontier_seconds", "frontier_passes"]].isna().all(axis=None)


def test_the_figure_s_intervals_are_the_table_s_and_need_not_be_symmetric() -> None:
    found = table(seeds=3)
    found["lower"], found["upper"] = found["mean"] - 1, found["mean"] + 3
    for axis in pareto_figure(found, LABELS).axes:
        for bar in axis.containers:
            x, y = bar.lines[0].get_xydata()[0]
            assert bar.lines[2][-1].get_segments()[0] == pytest.approx(np.array([(x, y - 1), (x, y + 3)]))


def test_a_classifier_from_elsewhere_has_no_price_and_is_left_out() -> None:
    labels = dataclasses.replace(LABELS, external={"costly": ("mnist",)})
    rows = [row for name in ROBUST for row in evaluated("mnist", name, clean=990, bim10=900, autoattack=20)]
    mnist = dataclasses.replace(labels, datasets={"mnist": "MNIST"})
    found = pareto_table(pd.DataFrame(rows), TIMING.query("defense != 'costly'"), EPOCHS, mnist)
    assert "costly" not in set(found["defense"])
    assert not any("Costly" in text.get_text() for text in pareto_figure(found, mnist).legends[0].get_texts())


def test_a_classifier_that_was_not_timed_is_named() -> None:
    with pytest.raises(InputError, match="the training time of costly was not measured"):
        table(timing=TIMING.query("defense != 'costly'"))


def test_the_figure_has_both_measures_of_each_classifier_at_both_prices_and_names_the_frontier() -> None:
    figure = pareto_figure(table(seeds=3), LABELS)
    for axis, per_epoch in zip(figure.axes, (SECONDS, PASSES) * 2, strict=True):
        marked = [line for line in axis.get_lines() if line.get_marker() != "None"]
        marks = {(round(x, 3), round(y, 3)) for line in marked for x, y in line.get_xydata().tolist()}
        assert marks >= {(per_epoch[name] * EPOCHS[name], right) for name in ROBUST for right in (90, ROBUST[name] + 1)}
    seconds, passes = (axis.get_xlabel().splitlines() for axis in figure.axes[:2])
    assert seconds == ["Seconds of the training", "On the line: Cheap; Wasteful; Costly"]
    assert passes == ["Passes over a training image", "On the line: Wasteful; Costly"]
    *names, filled, hollow, frontier = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [name.title() for name in ROBUST]
    assert all(said in text for said, text in (("all attacks", filled), ("BIM(10)", hollow), ("cheaper", frontier)))


def test_the_figure_of_many_classifiers_fits_its_legend_and_names() -> None:
    names = [f"classifier_{n}" for n in range(32)]
    labels = labels_of(
        datasets={"mnist": "MNIST"}, defenses={name: f"A title of thirty letters, {name[11:]:>2}" for name in names}
    )
    rows = [
        row
        for n, name in enumerate(names)
        for seed in (0, 1)
        for row in evaluated("mnist", name, seed, clean=990, bim10=900, autoattack=n)
    ]
    timing = pd.DataFrame({"defense": names, "seconds_median": 1.0, "seconds_lower": 1.0, "seconds_upper": 1.0})
    timing["passes"] = 1.0 + timing.index
    figure = pareto_figure(pareto_table(pd.DataFrame(rows), timing, dict.fromkeys(names, 1), labels), labels)
    figure.draw_without_rendering()
    shown = [figure.legends[0].get_window_extent(), *(axis.xaxis.label.get_window_extent() for axis in figure.axes)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in shown)
    assert len({(bar.lines[0].get_marker(), bar.lines[0].get_color()) for bar in figure.axes[0].containers}) == 32
