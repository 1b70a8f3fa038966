"""The choices that the paper leaves open, each tried alone and compared with the paper's Table I."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from advtrain.report import paper
from advtrain.report.open_choices import distances, page, variants_table
from advtrain.report.open_choices_chart import choices_figure
from evaluated import evaluated, labels_of
from synthetic import outcome_row

CLASSIFIERS = {"atda": {"atda": "As configured", "atda__batch_32": "Batch 32"}, "proposed": {"proposed": "As configured"}}
FIXED = "BIM of ε/10 a step"
LABELS = labels_of("atda", "proposed", datasets={"mnist": "MNIST"}, departures={"atda": "epochs 40"})
OF_CIFAR = labels_of("atda", "proposed", datasets={"cifar10": "CIFAR-10"})


def evaluations(seeds: int = 3, dataset: str = "mnist") -> pd.DataFrame:
    """With batches of 32 ATDA is what the paper has; elsewhere BIM leaves half, and with a fixed step an eighth."""
    rows = []
    for classifier, seed in product(("atda", "atda__batch_32", "proposed"), range(seeds)):
        clean, fgsm, bim10, bim30 = (978, 979, 866, 842) if classifier == "atda__batch_32" else (990, 900, 500, 500)
        attacks = {"fgsm": fgsm, "bim5": 700, "bim10": bim10, "bim30": bim30, "pgd": 100}
        rows += evaluated(dataset, classifier, seed, clean=clean, **attacks)
        cell = {"dataset": dataset, "defense": classifier, "seed": seed}
        rows.append({**cell, **outcome_row("bim_fixed_step", 125, 1000, 30)})
    return pd.DataFrame(rows)


def table(seeds: int = 3, dataset: str = "mnist") -> pd.DataFrame:
    return variants_table(evaluations(seeds, dataset), CLASSIFIERS, [dataset], FIXED)


def figures(defense: str, choice: str) -> pd.DataFrame:
    found = table()
    return found[(found["defense"] == defense) & (found["choice"] == choice)].set_index("column")


def test_each_choice_has_the_paper_s_figures_of_its_defense() -> None:
    found = figures("atda", "Batch 32")
    assert list(found.index) == [*paper.COLUMNS, "PGD"]
    assert found["mean"].tolist() == pytest.approx([97.8, 97.9, 86.6, 84.2, 20])
    assert found["paper"].tolist() == pytest.approx([97.80, 97.90, 86.6, 84.2, np.nan], nan_ok=True)
    assert figures("proposed", "As configured").loc["BIM(10)", "difference"] == pytest.approx(50 - 94.21)


def test_a_fixed_step_takes_the_place_of_epsilon_over_n_where_n_was_evaluated_so() -> None:
    means = {"Original": 99.0, "FGSM": 90.0, "BIM(10)": 50.0, "BIM(30)": 12.5, "PGD": 20.0}
    assert figures("atda", FIXED)["mean"].to_dict() == pytest.approx(means)


def test_without_a_fixed_step_of_a_bim_of_the_table_there_is_no_such_choice() -> None:
    """BIM(30) of ε/30 in its place would be no figure of it."""
    rows = evaluations()
    rows.loc[rows["attack"] == "bim_fixed_step", "iterations"] = 20
    assert set(variants_table(rows, CLASSIFIERS, ["mnist"], FIXED)["choice"]) == {"As configured", "Batch 32"}


def test_the_distance_is_the_mean_of_the_absolute_differences_from_the_paper_s() -> None:
    found = distances(table())
    assert found["mnist", "atda", "Batch 32"] == pytest.approx(0)
    assert found["mnist", "proposed", "As configured"] == pytest.approx((0.08 + 6.71 + 44.21 + 44.04) / 4)


def test_on_a_data_set_that_the_paper_does_not_have_choices_are_shown_without_a_distance_from_it() -> None:
    found = table(dataset="cifar10")
    assert found["paper"].isna().all()
    note, cifar = page(found, OF_CIFAR)
    assert "the paper" not in note.text
    assert cifar.table is not None
    assert "Distance" not in cifar.table
    assert cifar.table["PGD"].tolist() == ["20.00"] * 5
    axes = choices_figure(found, OF_CIFAR).axes
    assert [axis.get_xlabel() for axis in axes] == ["Test accuracy under BIM(30) (%)", "Test accuracy under PGD (%)"]
    assert not any(lines.get_label() == "The paper" for axis in axes for lines in axis.collections)


def test_a_defense_that_the_paper_does_not_have_has_no_distance_beside_one_that_has() -> None:
    rows = evaluations()
    other = rows[rows["defense"] == "proposed"].assign(defense="vanilla")
    classifiers = {"proposed": {"proposed": "As configured"}, "vanilla": {"vanilla": "As configured"}}
    found = variants_table(pd.concat([rows, other]), classifiers, ["mnist"], FIXED)
    _, mnist = page(found, labels_of("proposed", "vanilla", datasets={"mnist": "MNIST"}))
    assert mnist.table is not None
    assert [bool(distance) for distance in mnist.table["Distance"]] == [True, True, False, False]


def test_the_page_has_each_choice_in_order_and_marks_the_nearest() -> None:
    note, mnist = page(table(), LABELS)
    for said in ("on 1,000 images, under PGD on 500, mean of 3 seeds.", "small_cnn, 20 epochs", "ATDA with epochs 40"):
        assert said in note.text
    assert mnist.table is not None
    nearest = [cell.endswith(", nearest") for cell in mnist.table["Distance"]]
    columns = (mnist.table[column] for column in ("Classifier", "Choice", "BIM(30)"))
    assert list(zip(*columns, nearest, strict=True)) == [
        ("ATDA", "As configured", "50.00 [-34.20]", False),
        ("ATDA", FIXED, "12.50 [-71.70]", False),
        ("ATDA", "Batch 32", "84.20 [+0.00]", True),
        ("Proposed", "As configured", "50.00 [-44.04]", True),
        ("Proposed", FIXED, "12.50 [-81.54]", False),
    ]


def test_one_seed_cannot_tell_the_nearest() -> None:
    """Not even where only one choice of a classifier has one seed: Proposed's all have three here."""
    found = table()
    found.loc[found["choice"] == "Batch 32", "seeds"] = 1
    for shown, marks, number in ((table(seeds=1), 0, "1 seed."), (found, 1, "1 to 3 seeds.")):
        note, mnist = page(shown, LABELS)
        assert f"mean of {number}" in note.text
        assert "One seed cannot tell which choice is the nearest." in note.text
        assert mnist.table is not None
        assert sum(cell.endswith("nearest") for cell in mnist.table["Distance"]) == marks


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_chart_has_a_dot_for_each_choice_under_bim_30_with_a_bar_over_seeds_and_the_paper_s_line(seeds: int) -> None:
    axis = choices_figure(table(seeds), LABELS).axes[0]
    dots = {bar.get_label(): bar.lines[0].get_xydata().tolist() for bar in axis.containers}
    assert dots == {"As configured": [[50, 0], [50, 4]], FIXED: [[12.5, 1], [12.5, 5]], "Batch 32": [[84.2, 2]]}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ATDA", "Proposed"]
    (printed,) = (lines for lines in axis.collections if lines.get_label() == "The paper")
    assert [segment[0][0] for segment in printed.get_segments()] == pytest.approx([84.2, 94.04])
    bars = [segment for bar in axis.containers for segment in bar.lines[2][0].get_segments()]
    assert [len(segment) > 0 and bool(np.isfinite(segment).all()) for segment in bars] == [seeds > 1] * len(bars)
