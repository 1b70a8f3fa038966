"""Table I, the README's table, and the differences between classifiers."""

from dataclasses import replace

import pandas as pd
import pytest

from advtrain.audit.criteria import CHECKS
from advtrain.report import pairs
from advtrain.report.columns import ATTACKS, PASSES, RATIO, SECONDS, TIME
from advtrain.report.pages import Section, to_html, to_markdown
from advtrain.report.table_one import MARK, WEAK, headline, page, table_1
from advtrain.system.errors import InputError
from evaluated import DATASETS, evaluated, labels_of
from synthetic import outcome_row

LABELS = labels_of("vanilla", "fgsm_adv", "proposed")
EPOCHS = dict.fromkeys(LABELS.defenses, 80)
TIMES = pd.DataFrame(
    [
        ("vanilla", 4.0, 3.9, 4.1, 1 / 3, 0.3, 0.4, 1.0),
        ("fgsm_adv", 12.0, 11.0, 13.0, 1.0, 1.0, 1.0, 3.0),
        ("proposed", 13.5, 13.0, 14.0, 1.125, 1.0, 1.25, 3.5),
    ],
    columns=[
        "defense",
        *(f"{name}_{part}" for name in ("seconds", "ratio") for part in ("median", "lower", "upper")),
        "passes",
    ],
)


def evaluations(seeds: int = 1) -> pd.DataFrame:
    """Each classifier is right on 10 of 1,000 images more than the one before it, and each seed on 2 fewer."""
    rows = []
    for dataset in DATASETS:
        for place, defense in enumerate(LABELS.defenses):
            for seed in range(seeds):
                more = 10 * (place - 2) - 2 * seed - (100 if dataset == "fmnist" else 0)
                paper = {"clean": 990 + more, "fgsm": 950 + more, "bim10": 900 + more, "bim30": 880 + more, "bim3": 2}
                rows += evaluated(dataset, defense, seed, **paper, pgd=350, autoattack=60)
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                others = (outcome_row("bim", 1, 1000, 10, iterate=4), outcome_row("pgd", 400, 500, 40, loss="margin"))
                rows += [{**cell, **row} for row in others]
    return pd.DataFrame(rows)


EXTERNAL = labels_of("vanilla", "fgsm_adv", "proposed", external={"proposed": ("fmnist",)})
"""Proposed in the place of a classifier from elsewhere, of one data set."""


def external_table() -> pd.DataFrame:
    rows = evaluations()
    found = rows[(rows["defense"] != "proposed") | (rows["dataset"] == "fmnist")]
    return table_1(found, TIMES[TIMES["defense"] != "proposed"], audit(), EXTERNAL)


def test_a_classifier_from_elsewhere_has_rows_for_its_data_sets_alone_and_no_time() -> None:
    found = external_table()
    assert set(found.loc[found["defense"] == "proposed", "group"]) == {"Fashion-MNIST"}
    text = to_markdown("", headline(found, EXTERNAL, EPOCHS))
    (line,) = [line for line in text.splitlines() if "| Proposed" in line]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["Fashion-MNIST", "Proposed", "n/a"]
    assert (
        "Proposed less"
        not in to_markdown("", pairs.page(pairs.differences(evaluations(), EXTERNAL), EXTERNAL)).partition("Fashion")[0]
    )


def audit(**failing: str) -> pd.DataFrame:
    """An audit in which a defense on MNIST fails one check: Proposed fails noise_better with proposed="noise_better"."""
    cells = [(dataset, defense, check) for dataset in DATASETS for defense in LABELS.defenses for check in CHECKS]
    rows = [(*cell, "fail" if cell[0] == "mnist" and failing.get(cell[1]) == cell[2] else "pass") for cell in cells]
    return pd.DataFrame(rows, columns=["dataset", "defense", "check", "verdict"])


def table(seeds: int = 1, **failing: str) -> pd.DataFrame:
    found = table_1(evaluations(seeds), TIMES, audit(**failing), LABELS)
    return found.set_index(["defense", "group", "column"], drop=False)


def sections(seeds: int = 1, **failing: str) -> list[Section]:
    return page(table(seeds, **failing).reset_index(drop=True), audit(**failing), LABELS, "a machine")


def tables(seeds: int = 1, **failing: str) -> dict[str, pd.DataFrame]:
    """The tables of the page, by heading."""
    return {section.heading: section.table for section in sections(seeds, **failing) if section.table is not None}


def test_each_figure_is_that_of_its_attack_with_the_paper_s() -> None:
    found = table()
    assert len(found) == 3 * (2 * 7 + 3)
    means = found["mean"]
    expected = [99.0, 95.0, 90.0, 88.0, 70.0, 60.0, 1.0]
    assert [means["proposed", "MNIST", column] for column in ATTACKS] == pytest.approx(expected)
    assert means["proposed", "Fashion-MNIST", "BIM(10)"] == pytest.approx(80.0)
    papers = found["paper"]
    assert papers["proposed", "MNIST", "BIM(10)"] == 94.21
    assert papers["fgsm_adv", "Fashion-MNIST", "BIM(30)"] == 6.18
    assert papers.isna()["vanilla", "MNIST", "Original"]
    assert papers.isna()["proposed", "MNIST", "PGD"]


def test_time_is_given_in_seconds_and_relative_to_fgsm_adv_with_quartiles_and_in_passes() -> None:
    found = table()[["lower", "mean", "upper", "paper"]]
    assert found.loc["proposed", TIME, SECONDS].tolist() == [13.0, 13.5, 14.0, 18.68]
    assert found.loc["proposed", TIME, RATIO].tolist() == pytest.approx([1.0, 1.125, 1.25, 18.68 / 17.12])
    assert found.loc["proposed", TIME, PASSES].dropna().tolist() == [3.5], "a count, without an interval or a printed figure"


def test_beside_another_data_set_s_time_there_is_none_of_the_paper_s() -> None:
    labels = replace(LABELS, datasets={"letters": "Letters"})
    renamed = evaluations()[lambda rows: rows["dataset"] == "mnist"].assign(dataset="letters")
    found = table_1(renamed, TIMES, audit(), labels)
    assert found["paper"].isna().all()


def test_a_cell_has_our_figure_its_interval_and_the_paper_s_in_brackets() -> None:
    one, three = tables(), tables(seeds=3)
    assert one["MNIST"].loc["Proposed", "BIM(10)"] == "90.00 (images: 88.0 to 91.7) [94.21]"
    assert three["MNIST"].loc["Proposed", "BIM(10)"] == "89.80 ± 0.20 (89.3 to 90.3) [94.21]"
    assert one["MNIST"].loc["Proposed", "PGD"] == "70.00 (images: 65.8 to 73.9)"
    assert one[TIME].loc["Proposed", RATIO] == "1.12 (1.00 to 1.25) [1.09]"
    assert one[TIME][PASSES].tolist() == ["1", "3", "3.5"]
    assert list(one) == ["MNIST", "Fashion-MNIST", TIME]
    assert (list(one["MNIST"].index), list(one["MNIST"].columns)) == (list(LABELS.defenses.values()), list(ATTACKS))


@pytest.mark.parametrize(
    ("check", "doubted"),
    [
        ("noise_better", {"PGD"}),
        ("zero_gradients", set(ATTACKS) - {"Original"}),
    ],
)
def test_a_failed_check_marks_the_figures_that_it_casts_doubt_on_and_is_named(check: str, doubted: set[str]) -> None:
    """Noise that fools where PGD does not speaks against PGD, zero gradients against all attacks."""
    found = tables(proposed=check)
    assert {column for column in ATTACKS if MARK in found["MNIST"].loc["Proposed", column]} == doubted
    assert MARK not in found["Fashion-MNIST"].to_string() + found["MNIST"].drop("Proposed").to_string()
    assert f"{check.replace('_', ' ').capitalize()}: Proposed on MNIST." in sections(proposed=check)[-1].text


def test_what_speaks_against_fgsm_and_bim_alone_marks_nothing_since_the_caption_does() -> None:
    text = "".join(section.text for section in sections(proposed="restarts_matter"))
    assert MARK not in text + "".join(map(str, tables(proposed="restarts_matter").values()))
    assert WEAK in text
    assert "Restarts" not in sections(proposed="noise_better", vanilla="restarts_matter")[-1].text


def test_the_strongest_is_the_worst_case_of_all_attacks_on_the_images_that_all_attacked() -> None:
    """And the lowest figure of a row is marked."""
    rows = evaluations()
    rows = rows[rows["attack"].isin(["clean", "pgd", "autoattack"]) | (rows["correct"] > 100)]
    noise = [{"dataset": "mnist", "defense": "proposed", "seed": 0, **outcome_row("noise_after_pgd", 30, 500, 0)}]
    found = table_1(pd.concat([rows, pd.DataFrame(noise)]), TIMES, audit(), LABELS)
    texts = page(found, audit(), LABELS, "a machine")[0].table
    assert texts is not None
    assert texts.loc["Proposed", "Strongest"].startswith("30.00* ("), "of 100 images, as AutoAttack"
    assert "*" not in "".join(texts.loc["Proposed"].drop("Strongest"))
    assert [column for column in ATTACKS if "*" in texts.loc["Vanilla", column]] == ["AutoAttack", "Strongest"], "equal"


def test_an_accuracy_of_0_is_not_doubted() -> None:
    """It promises nothing; neither the cell nor the words below speak of the failed check."""
    rows = evaluations()
    attacked = rows["attack"] != "clean"
    rows.loc[attacked, "correct"], rows.loc[attacked, "outcomes"] = 0, bytes(125)
    failing = audit(proposed="zero_gradients")
    assert MARK not in to_html("Table I", page(table_1(rows, TIMES, failing, LABELS), failing, LABELS, "a machine"))


def test_the_page_says_the_images_the_device_and_how_each_classifier_was_trained() -> None:
    departing = labels_of(*LABELS.defenses, departures={"proposed": "batch_size 32"})
    found = table_1(evaluations(), TIMES, audit(), departing)
    assert found.groupby("defense", sort=False)["departs"].unique().map(list).tolist() == [[""], [""], ["batch_size 32"]]
    note = page(found, audit(), departing, "a machine")[-1].text
    assert "of one seed, which cannot tell what another training gives" in note
    assert "Original, FGSM, BIM(10), BIM(30) on 1,000; PGD on 500; AutoAttack, Strongest on 100" in note
    assert "PGD: the worst of 20 restarts of 40 iterations" in note
    assert "small_cnn, 20 epochs. Trained otherwise: Proposed with batch_size 32." in note
    assert "on a machine; the paper's on a Tesla K20m" in note
    assert "over 3 seeds" in sections(seeds=3)[-1].text
    assert "otherwise" not in sections()[-1].text


def test_the_readme_s_table_has_price_clean_accuracy_and_that_under_the_paper_s_attack_pgd_and_autoattack() -> None:
    lines = to_markdown("", headline(table(), LABELS, EPOCHS)).splitlines()
    header, _, vanilla, _, proposed, *fashion = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert header == ["Data set", "Classifier", "Price", "Clean", "BIM(30), paper → ours", "PGD", "AutoAttack"]
    assert proposed == ["MNIST", "Proposed", "1.12 (280 passes)", "99.00", "94.04 → 88.00", "70.00", "60.00"]
    assert vanilla[:5] == ["MNIST", "Vanilla", "0.33 (80 passes)", "97.00", "n/a → 86.00"], "the paper has no Vanilla"
    assert [row[:2] for row in fashion] == [["Fashion-MNIST", title] for title in LABELS.defenses.values()]
    assert "98.80 ± 0.20" in to_markdown("", headline(table(seeds=3), LABELS, EPOCHS))


def test_a_price_without_fgsm_adv_is_in_passes_alone() -> None:
    times = TIMES.assign(**{name: float("nan") for name in TIMES if name.startswith("ratio")})
    found = table_1(evaluations(), times, audit(), LABELS)
    shown = headline(found, LABELS, EPOCHS)[0].table
    assert shown is not None
    assert set(shown["Price"]) == {"80 passes", "240 passes", "280 passes"}
    text = to_markdown("", [*headline(found, LABELS, EPOCHS), *page(found, audit(), LABELS, "a machine")])
    assert "nan" not in text


def test_an_evaluation_or_a_time_that_is_missing_is_named() -> None:
    rows = evaluations()
    with pytest.raises(InputError, match=r"Table I needs BIM\(30\) of mnist/vanilla"):
        table_1(rows[(rows["defense"] != "vanilla") | (rows["iterations"] != 30)], TIMES, audit(), LABELS)
    with pytest.raises(InputError, match="Table I needs the training time of fgsm_adv"):
        table_1(rows, TIMES.iloc[:1], audit(), LABELS)


@pytest.mark.parametrize(
    ("seeds", "said", "cell"),
    [(3, "over 3 seeds", "+2.00 (+2.0 to +2.0)"), (1, "of one seed, which cannot tell", "+2.00 (images: +1.1 to +2.9)")],
)
def test_differences_are_between_all_pairs_and_paired(seeds: int, said: str, cell: str) -> None:
    """Of every seed Proposed is right on 20 images more than Vanilla, of the same images."""
    found = pairs.differences(evaluations(seeds), LABELS)
    assert len(found) == 2 * 3 * len(ATTACKS)
    note, mnist, _ = pairs.page(found, LABELS)
    assert said in note.text
    assert "excludes 0; one seed shows none" in note.text
    assert mnist.table is not None
    assert mnist.table.loc["Proposed less Vanilla", "BIM(10)"] == cell


def test_one_classifier_has_nothing_to_be_compared_with_on_a_data_set_or_on_any() -> None:
    labels = labels_of("vanilla", "proposed", external={"proposed": ("fmnist",)})
    found = pairs.differences(evaluations(), labels)
    said = "Vanilla is the only classifier here, so there is nothing to compare it with."
    _, mnist, fmnist = pairs.page(found, labels)
    assert (mnist.text, mnist.table) == (said, None)
    assert fmnist.table is not None
    alone = labels_of("vanilla")
    none = pairs.differences(evaluations(), alone)
    assert none.columns.tolist() == found.columns.tolist()
    assert [(section.heading, section.text) for section in pairs.page(none, alone)] == [
        (title, said) for title in DATASETS.values()
    ]
