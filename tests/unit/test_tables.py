import pandas as pd
import pytest

from advtrain import paper
from advtrain.errors import InputError
from advtrain.results import evaluation_table
from advtrain.tables import RATIO, SECONDS, TIME, caption, table_1, to_html, to_latex, to_markdown, wide_table_1
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {"vanilla": "Vanilla", "fgsm_adv": "FGSM-Adv", "proposed": "Proposed"}
CORRECT = {"clean": 990, "fgsm": 950, 10: 900, 30: 880}


def evaluations(seeds: int = 1) -> pd.DataFrame:
    rows = []
    for dataset in DATASETS:
        for defense in DEFENSES:
            for seed in range(seeds):
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                for attack, correct in CORRECT.items():
                    right = correct + 2 * seed - (100 if dataset == "fmnist" else 0)
                    if isinstance(attack, str):
                        row = outcome_row(attack, right, 1000, 1)
                    else:
                        row = outcome_row("bim", right, 1000, attack)
                    rows.append({**cell, **row})
                rows.append({**cell, **outcome_row("bim", 1, 1000, 10, iterate=4)})
                rows.append({**cell, **outcome_row("bim", 2, 1000, 3)})
    return evaluation_table(rows).to_pandas()


def timing() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "defense": list(DEFENSES),
            "seconds_median": [4.0, 12.0, 13.5],
            "ratio_median": [1 / 3, 1.0, 1.125],
            "device": "a machine",
        }
    )


def figure(table: pd.DataFrame, defense: str, group: str, column: str) -> pd.Series:
    (index,) = table.index[(table["defense"] == defense) & (table["group"] == group) & (table["column"] == column)]
    return table.loc[index]


def test_each_figure_is_that_of_its_attack_beside_the_paper_s() -> None:
    table = table_1(evaluations(), timing(), DATASETS, DEFENSES)
    for column, expected in zip(paper.COLUMNS, (99.0, 95.0, 90.0, 88.0), strict=True):
        assert figure(table, "proposed", "MNIST", column)["mean"] == pytest.approx(expected)
        assert figure(table, "proposed", "Fashion-MNIST", column)["mean"] == pytest.approx(expected - 10)
    assert figure(table, "proposed", "MNIST", "BIM(10)")["paper"] == 94.21
    assert figure(table, "fgsm_adv", "Fashion-MNIST", "BIM(30)")["paper"] == 6.18
    assert pd.isna(figure(table, "vanilla", "MNIST", "Original")["paper"])
    assert len(table) == 3 * (2 * 4 + 2)


def test_mean_and_standard_deviation_are_over_seeds() -> None:
    row = figure(table_1(evaluations(seeds=3), timing(), DATASETS, DEFENSES), "proposed", "MNIST", "BIM(10)")
    assert row["mean"] == pytest.approx(90.2)
    assert row["std"] == pytest.approx(0.2)
    assert row["seeds"] == 3
    assert row["examples"] == 1000


def test_time_stands_as_seconds_and_as_ratio_to_fgsm_adv() -> None:
    table = table_1(evaluations(), timing(), DATASETS, DEFENSES)
    assert figure(table, "proposed", TIME, SECONDS)["mean"] == 13.5
    assert figure(table, "proposed", TIME, SECONDS)["paper"] == 18.68
    assert figure(table, "proposed", TIME, RATIO)["mean"] == 1.125
    assert figure(table, "proposed", TIME, RATIO)["paper"] == pytest.approx(18.68 / 17.12)


def test_cells_read_ours_with_spread_and_the_paper_s_in_brackets() -> None:
    one = wide_table_1(table_1(evaluations(), timing(), DATASETS, DEFENSES))
    three = wide_table_1(table_1(evaluations(seeds=3), timing(), DATASETS, DEFENSES))
    assert one.loc["Proposed", ("MNIST", "BIM(10)")] == "90.00 [94.21]"
    assert three.loc["Proposed", ("MNIST", "BIM(10)")] == "90.20 ± 0.20 [94.21]"
    assert one.loc["Vanilla", ("MNIST", "FGSM")] == "95.00 [—]"
    assert one.loc["Proposed", (TIME, RATIO)] == "1.12× [1.09×]"
    assert list(one.index) == list(DEFENSES.values())
    assert list(one.columns) == [
        *((title, column) for title in DATASETS.values() for column in paper.COLUMNS),
        (TIME, SECONDS),
        (TIME, RATIO),
    ]


def test_the_caption_says_the_scale_the_images_and_the_device() -> None:
    note = caption(table_1(evaluations(), timing(), DATASETS, DEFENSES), "20 epochs", "a machine")
    assert "1,000 test images" in note
    assert "20 epochs" in note
    assert "on a machine" in note
    assert "Tesla K20m" in note


def test_every_format_has_every_figure() -> None:
    wide = wide_table_1(table_1(evaluations(), timing(), DATASETS, DEFENSES))
    markdown, html, latex = (make(wide, "small_cnn & 5 % <of> it") for make in (to_markdown, to_html, to_latex))
    for text in (markdown, html, latex):
        assert text.count("94.21") == 1
        assert text.count("90.00 [94.21]") == 1
    assert markdown.splitlines()[0].count("|") == 12
    assert "<caption>small_cnn &amp; 5 % &lt;of&gt; it</caption>" in html
    assert r"small\_cnn \& 5 \% <of> it" in latex
    assert "group" not in html + latex + markdown, "the headings' own names say nothing"
    assert r"\multicolumn{4}{c}{MNIST}" in latex


def test_a_missing_evaluation_is_named() -> None:
    rows = evaluations()
    rows = rows[~((rows["defense"] == "vanilla") & (rows["iterations"] == 30))]
    with pytest.raises(InputError, match=r"Table I needs BIM\(30\) of mnist/vanilla"):
        table_1(rows, timing(), DATASETS, DEFENSES)


def test_a_missing_time_is_named() -> None:
    with pytest.raises(InputError, match="Table I needs the training time of fgsm_adv"):
        table_1(evaluations(), timing().iloc[:1], DATASETS, DEFENSES)


def test_the_paper_s_margins_follow_from_its_table() -> None:
    """The abstract's figures, from the constants: 16.93 points on Fashion-MNIST's BIM(30), and 28.75% less time."""
    proposed, atda = (paper.TABLE_1[defense]["fmnist"] for defense in ("proposed", "atda"))
    assert proposed[3] - atda[3] == pytest.approx(16.93)
    assert 1 - paper.SECONDS_PER_EPOCH["proposed"] / paper.SECONDS_PER_EPOCH["atda"] == pytest.approx(0.2875, abs=3e-4)
