import numpy as np
import pandas as pd
import pytest

from advtrain.report import paper
from advtrain.audit.criteria import CHECKS
from advtrain.system.errors import InputError
from advtrain.report.pages import to_html, to_latex, to_markdown
from advtrain.results.parquet import evaluation_table
from advtrain.report.table_one import ATTACKS, MARK, RATIO, SECONDS, TIME, caption, differences, differences_page, page, table_1
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {"vanilla": "Vanilla", "fgsm_adv": "FGSM-Adv", "proposed": "Proposed"}
CORRECT = {"clean": 990, "fgsm": 950, 10: 900, 30: 880}


def evaluations(seeds: int = 1) -> pd.DataFrame:
    rows = []
    for dataset in DATASETS:
        for place, defense in enumerate(DEFENSES):
            for seed in range(seeds):
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                less = (100 if dataset == "fmnist" else 0) + 10 * (2 - place) - 2 * seed
                for attack, correct in CORRECT.items():
                    name, n = ("bim", attack) if isinstance(attack, int) else (attack, 1)
                    rows.append({**cell, **outcome_row(name, correct - less, 1000, n)})
                rows.append({**cell, **outcome_row("bim", 1, 1000, 10, iterate=4)})
                rows.append({**cell, **outcome_row("bim", 2, 1000, 3)})
                rows.append({**cell, **outcome_row("pgd", 400, 500, 40, loss="margin")})
                rows.append({**cell, **outcome_row("pgd", 350, 500, 40, loss="worst", restarts=20)})
                rows.append({**cell, **outcome_row("autoattack", 60, 100, 0)})
    return evaluation_table(rows).to_pandas()


def timing() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "defense": list(DEFENSES),
            "seconds_median": [4.0, 12.0, 13.5],
            "seconds_lower": [3.9, 11.0, 13.0],
            "seconds_upper": [4.1, 13.0, 14.0],
            "ratio_median": [1 / 3, 1.0, 1.125],
            "ratio_lower": [0.3, 1.0, 1.0],
            "ratio_upper": [0.4, 1.0, 1.25],
            "device": "a machine",
        }
    )


def audit(**failing: str) -> pd.DataFrame:
    """An audit in which a defense on MNIST fails one check: Proposed fails noise_better with proposed="noise_better"."""
    rows = [
        {"dataset": d, "defense": m, "check": c, "verdict": "fail" if d == "mnist" and failing.get(m) == c else "pass"}
        for d in DATASETS
        for m in DEFENSES
        for c in CHECKS
    ]
    return pd.DataFrame(rows)


def table(seeds: int = 1, **failing: str) -> pd.DataFrame:
    return table_1(evaluations(seeds), timing(), audit(**failing), DATASETS, DEFENSES)


def figure(table: pd.DataFrame, defense: str, group: str, column: str) -> pd.Series:
    (index,) = table.index[(table["defense"] == defense) & (table["group"] == group) & (table["column"] == column)]
    return table.loc[index]


def read(seeds: int = 1, **failing: str) -> dict[str, pd.DataFrame]:
    """The tables that people read, by heading."""
    sections = page(table(seeds, **failing), audit(**failing), DATASETS, DEFENSES, "20 epochs", "a machine")
    return {section.heading: section.table for section in sections if section.table is not None}


def test_each_figure_is_that_of_its_attack_beside_the_paper_s() -> None:
    found = table()
    for column, expected in zip(ATTACKS, (99.0, 95.0, 90.0, 88.0, 70.0, 60.0), strict=True):
        assert figure(found, "proposed", "MNIST", column)["mean"] == pytest.approx(expected)
    assert figure(found, "proposed", "Fashion-MNIST", "BIM(10)")["mean"] == pytest.approx(80.0)
    assert figure(found, "proposed", "MNIST", "BIM(10)")["paper"] == 94.21
    assert figure(found, "fgsm_adv", "Fashion-MNIST", "BIM(30)")["paper"] == 6.18
    assert pd.isna(figure(found, "vanilla", "MNIST", "Original")["paper"])
    assert pd.isna(figure(found, "proposed", "MNIST", "PGD")["paper"])
    assert len(found) == 3 * (2 * 6 + 2)


def test_mean_standard_deviation_and_interval_are_over_seeds() -> None:
    row = figure(table(seeds=3), "proposed", "MNIST", "BIM(10)")
    assert row["mean"] == pytest.approx(90.2)
    assert row["std"] == pytest.approx(0.2)
    assert row["upper"] - row["mean"] == pytest.approx(4.3027 * 0.2 / np.sqrt(3), rel=1e-4)
    assert row["mean"] - row["lower"] == pytest.approx(row["upper"] - row["mean"])
    assert (row["seeds"], row["examples"]) == (3, 1000)


def test_time_stands_as_seconds_and_as_ratio_to_fgsm_adv_with_quartiles() -> None:
    found = table()
    assert figure(found, "proposed", TIME, SECONDS)["mean"] == 13.5
    assert figure(found, "proposed", TIME, SECONDS)["paper"] == 18.68
    ratio = figure(found, "proposed", TIME, RATIO)
    assert (ratio["lower"], ratio["mean"], ratio["upper"]) == (1.0, 1.125, 1.25)
    assert ratio["paper"] == pytest.approx(18.68 / 17.12)


def test_cells_read_ours_with_its_interval_and_the_paper_s_in_brackets() -> None:
    one, three = read(), read(seeds=3)
    assert one["MNIST"].loc["Proposed", "BIM(10)"] == "90.00 (88.0 to 91.7) [94.21]"
    assert three["MNIST"].loc["Proposed", "BIM(10)"] == "90.20 ± 0.20 (89.7 to 90.7) [94.21]"
    assert one["MNIST"].loc["Proposed", "PGD"] == "70.00 (65.8 to 73.9)"
    assert one[TIME].loc["Proposed", RATIO] == "1.12 (1.00 to 1.25) [1.09]"
    assert list(one) == ["MNIST", "Fashion-MNIST", TIME]
    assert list(one["MNIST"].index) == list(DEFENSES.values())
    assert list(one["MNIST"].columns) == list(ATTACKS)


def test_a_failed_check_marks_the_figures_that_it_casts_doubt_on() -> None:
    """Restarts that find more speak against the paper's attacks, noise against PGD as well, zero gradients against all."""
    weak = read(proposed="restarts_matter")
    marked = {column for column in ATTACKS if MARK in weak["MNIST"].loc["Proposed", column]}
    assert marked == {"FGSM", "BIM(10)", "BIM(30)"}
    assert MARK not in weak["Fashion-MNIST"].to_string() + weak["MNIST"].drop("Proposed").to_string()
    strong = read(proposed="noise_better")
    marked = {column for column in ATTACKS if MARK in strong["MNIST"].loc["Proposed", column]}
    assert marked == {"FGSM", "BIM(10)", "BIM(30)", "PGD"}
    every = read(proposed="zero_gradients")
    assert {column for column in ATTACKS if MARK in every["MNIST"].loc["Proposed", column]} == set(ATTACKS) - {"Original"}


def test_nothing_is_doubted_about_an_accuracy_of_0() -> None:
    """It promises nothing; neither the cell nor the words below speak of the failed check."""
    rows = evaluations()
    rows.loc[rows["attack"] != "clean", "correct"] = 0
    failing = audit(proposed="zero_gradients")
    found = table_1(rows, timing(), failing, DATASETS, DEFENSES)
    sections = page(found, failing, DATASETS, DEFENSES, "20 epochs", "a machine")
    assert not any(MARK in section.text + ("" if section.table is None else section.table.to_string()) for section in sections)


def test_the_mark_is_explained_where_it_stands_and_only_there() -> None:
    def note(**failing: str) -> str:
        return page(table(**failing), audit(**failing), DATASETS, DEFENSES, "20 epochs", "a machine")[-1].text

    assert "restarts matter: FGSM-Adv, Proposed on MNIST." in note(fgsm_adv="restarts_matter", proposed="restarts_matter")
    assert MARK not in note()


def test_the_caption_says_the_scale_the_images_and_the_device() -> None:
    note = caption(table(), "20 epochs", "a machine")
    assert "Original, FGSM, BIM(10), BIM(30) on 1,000; PGD on 500; AutoAttack on 100" in note
    assert "one seed" in note
    assert "PGD: the worst of 20 restarts of 40 iterations" in note
    assert "20 epochs" in note
    assert "on a machine" in note
    assert "Tesla K20m" in note
    assert "over 3 seeds" in caption(table(seeds=3), "20 epochs", "a machine")


def test_every_format_has_every_figure() -> None:
    sections = page(table(), audit(), DATASETS, DEFENSES, "small_cnn & 5 % <of> it", "a machine")
    markdown, html, latex = to_markdown("Table I", sections), to_html("Table I", sections), to_latex(sections)
    for text in (markdown, html, latex):
        assert text.count("90.00 (88.0 to 91.7) [94.21]") == 1
        for heading in ("MNIST", "Fashion-MNIST", TIME):
            assert heading in text
    assert "small_cnn &amp; 5 % &lt;of&gt; it" in html
    assert r"small\_cnn \& 5 \% \textless{}of\textgreater{} it" in latex
    assert latex.count(r"\begin{tabular}") == 3


def test_differences_are_between_all_pairs_with_their_intervals() -> None:
    found = differences(evaluations(seeds=3), DATASETS, DEFENSES)
    assert len(found) == 2 * 3 * len(ATTACKS)
    (row,) = found[
        (found["dataset"] == "mnist")
        & (found["defense"] == "proposed")
        & (found["less"] == "vanilla")
        & (found["column"] == "BIM(10)")
    ].to_dict("records")
    assert row["mean"] == row["lower"] == row["upper"] == pytest.approx(2.0), "every seed has 20 images more"
    sections = differences_page(found, DATASETS, DEFENSES)
    assert "paired by seed" in sections[0].text
    assert sections[1].table.loc["Proposed less Vanilla", "BIM(10)"] == "+2.00 (+2.0 to +2.0)"


def test_of_one_seed_differences_are_paired_by_image_and_say_so() -> None:
    sections = differences_page(differences(evaluations(), DATASETS, DEFENSES), DATASETS, DEFENSES)
    assert "paired by image" in sections[0].text
    assert sections[1].table.loc["Proposed less FGSM-Adv", "PGD"].startswith("+0.00 (-")


def test_a_missing_evaluation_is_named() -> None:
    rows = evaluations()
    rows = rows[~((rows["defense"] == "vanilla") & (rows["iterations"] == 30))]
    with pytest.raises(InputError, match=r"Table I needs BIM\(30\) of mnist/vanilla"):
        table_1(rows, timing(), audit(), DATASETS, DEFENSES)


def test_a_missing_time_is_named() -> None:
    with pytest.raises(InputError, match="Table I needs the training time of fgsm_adv"):
        table_1(evaluations(), timing().iloc[:1], audit(), DATASETS, DEFENSES)


def test_the_paper_s_margins_follow_from_its_table() -> None:
    """The abstract's figures, from the constants: 16.93 points on Fashion-MNIST's BIM(30), and 28.75% less time."""
    proposed, atda = (paper.TABLE_1[defense]["fmnist"] for defense in ("proposed", "atda"))
    assert proposed[3] - atda[3] == pytest.approx(16.93)
    assert 1 - paper.SECONDS_PER_EPOCH["proposed"] / paper.SECONDS_PER_EPOCH["atda"] == pytest.approx(0.2875, abs=3e-4)
