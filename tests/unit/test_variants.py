import pandas as pd
import pytest

from advtrain.report import paper
from advtrain.system.errors import InputError
from advtrain.results.parquet import evaluation_table
from advtrain.report.open_choices import distances, page, variants_table
from synthetic import outcome_row

CLASSIFIERS = {"atda": {"atda": "As configured", "atda__batch_32": "Batch 32"}, "proposed": {"proposed": "As configured"}}
FIXED = "BIM of ε/10 a step"
TITLES = {"atda": "ATDA", "proposed": "Proposed"}


def evaluations() -> pd.DataFrame:
    """With batches of 32 ATDA is what the paper has; elsewhere BIM leaves half, and with a fixed step an eighth."""
    rows = []
    for classifier in ("atda", "atda__batch_32", "proposed"):
        cell = {"dataset": "mnist", "defense": classifier, "seed": 0}
        clean, fgsm, bim10, bim30 = (978, 979, 866, 842) if classifier == "atda__batch_32" else (990, 900, 500, 500)
        for name, correct, n in (
            ("clean", clean, 0),
            ("fgsm", fgsm, 1),
            ("bim", bim10, 10),
            ("bim", bim30, 30),
            ("bim", 700, 5),
        ):
            rows.append({**cell, **outcome_row(name, correct, 1000, n)})
        rows.append({**cell, **outcome_row("bim_fixed_step", 125, 1000, 30)})
    return evaluation_table(rows).to_pandas()


def table() -> pd.DataFrame:
    return variants_table(evaluations(), CLASSIFIERS, ["mnist"], FIXED)


def figures(table: pd.DataFrame, defense: str, choice: str) -> pd.DataFrame:
    return table[(table["defense"] == defense) & (table["choice"] == choice)].set_index("column")


def test_each_choice_stands_beside_the_paper_s_row_of_its_defense() -> None:
    found = figures(table(), "atda", "Batch 32")
    assert list(found.index) == list(paper.COLUMNS)
    assert found["mean"].tolist() == pytest.approx([97.8, 97.9, 86.6, 84.2])
    assert found["paper"].tolist() == [97.80, 97.90, 86.6, 84.2]
    assert found["difference"].tolist() == pytest.approx([0, 0, 0, 0])
    assert figures(table(), "proposed", "As configured").loc["BIM(10)", "difference"] == pytest.approx(50 - 94.21)


def test_a_fixed_step_takes_the_place_of_epsilon_over_n_where_n_was_evaluated_so() -> None:
    found = figures(table(), "atda", FIXED)["mean"]
    assert found.to_dict() == pytest.approx({"Original": 99.0, "FGSM": 90.0, "BIM(10)": 50.0, "BIM(30)": 12.5})


def test_the_distance_is_the_mean_of_the_points_between_ours_and_the_paper_s() -> None:
    found = distances(table())
    assert found["mnist", "atda", "Batch 32"] == pytest.approx(0)
    assert found["mnist", "proposed", "As configured"] == pytest.approx((0.08 + 6.71 + 44.21 + 44.04) / 4)


def test_a_defense_and_a_data_set_that_the_paper_does_not_have_are_left_out() -> None:
    classifiers = {"proposed": {"proposed": "As configured"}, "vanilla": {"vanilla": "As configured"}}
    found = variants_table(evaluations(), classifiers, ["mnist", "emnist"], FIXED)
    assert set(found["defense"]) == {"proposed"}
    assert set(found["dataset"]) == {"mnist"}


def test_an_evaluation_that_is_missing_is_named() -> None:
    rows = evaluations()
    with pytest.raises(InputError, match="FGSM of mnist/atda__batch_32, which was not evaluated"):
        variants_table(rows[(rows["defense"] != "atda__batch_32") | (rows["attack"] != "fgsm")], CLASSIFIERS, ["mnist"], FIXED)


def test_rows_of_fewer_seeds_than_others_are_told_of() -> None:
    found = table()
    found.loc[found["choice"] != "Batch 32", "seeds"] = 5
    note, _ = page(found, {"mnist": "MNIST"}, TITLES, "small_cnn, 20 epochs")
    assert "mean of 1 to 5 seeds," in note.text
    assert "One seed:" in note.text


def test_people_read_each_choice_in_order_and_the_nearest_is_marked() -> None:
    note, mnist = page(table(), {"mnist": "MNIST"}, TITLES, "small_cnn, 20 epochs")
    assert "on 1,000 images, mean of 1 seed," in note.text
    assert "small_cnn, 20 epochs" in note.text
    assert "One seed:" in note.text
    assert mnist.heading == "MNIST"
    assert mnist.table is not None
    assert mnist.table[["Classifier", "Choice"]].to_numpy().tolist() == [
        ["ATDA", "As configured"],
        ["ATDA", FIXED],
        ["ATDA", "Batch 32"],
        ["Proposed", "As configured"],
        ["Proposed", FIXED],
    ]
    assert mnist.table["BIM(30)"].tolist() == [
        "50.00 [-34.20]",
        "12.50 [-71.70]",
        "84.20 [+0.00]",
        "50.00 [-44.04]",
        "12.50 [-81.54]",
    ]
    assert [cell.endswith(", nearest") for cell in mnist.table["Distance"]] == [False, False, True, True, False]
