"""The whole pipeline on tiny data, from the local folder to Table I and the figures."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from advtrain.evaluation.table import EVALUATION_SCHEMA, unpack_outcomes
from advtrain.report.verdicts import Verdict
from advtrain.results import checkpoint
from advtrain.results.parquet import read_provenance, read_table
from workspace import CONFIG, DATASETS, DEFENSES, RECIPE, Workspace

CELLS = [(dataset, defense) for dataset in DATASETS for defense in DEFENSES]
PICTURES = ("transfer", "figure1", "figure2", "table1_bars", "pareto", "histories")
PAGES = ("audit", "against_paper", "differences", "claims", "cost")


def read(run: Workspace, name: str) -> pd.DataFrame:
    return read_table(run.results / f"{name}.parquet").to_pandas()


def test_every_file_of_the_design_is_there(finished_run: Workspace) -> None:
    expected = ["timing.parquet", "timing_blocks.parquet", "pareto.parquet", "headline.md", "headline.html"]
    expected += [f"table1.{kind}" for kind in ("parquet", "csv", "md", "tex", "html")]
    expected += [f"{name}.{kind}" for name in PAGES for kind in ("parquet", "md", "html")]
    expected += [f"{name}.{kind}" for name in PICTURES for kind in ("svg", "pdf", "png")]
    for dataset, defense in CELLS:
        expected += [f"{dataset}/{defense}.parquet"]
        expected += [f"models/{dataset}/{defense}.pt", f"models/{dataset}/{defense}.history.parquet"]
    for name in expected:
        assert (finished_run.results / name).stat().st_size > 0, name
    assert not list(finished_run.results.rglob("*.checkpoint")), "a finished training leaves no checkpoint"
    assert not list((finished_run.folder / "results").glob("*.*")), "nothing lands outside the run's own folder"


def test_every_cell_has_every_evaluation_of_every_seed_once(finished_run: Workspace) -> None:
    expected = Counter(
        [("clean", 0, 0), ("fgsm", 1, 1)]
        + [("bim", n, n) for n in (1, 2, 30)]
        + [("bim", 10, iterate) for iterate in range(11)]
        + [("bim_fixed_step", 30, 30)]
        + [("pgd", 4, 4)] * 5
        + [("apgd_ce", 100, 100), ("apgd_t", 100, 100), ("fab_t", 100, 100), ("square", 5000, 5000)]
        + [("autoattack", 0, 0)]
    )
    for dataset, defense in CELLS:
        table = read(finished_run, f"{dataset}/{defense}")
        assert list(table.columns) == EVALUATION_SCHEMA.names
        assert set(table["dataset"]) == {dataset}
        assert set(table["defense"]) == {defense}
        assert set(table["seed"]) == {0, 1}
        for seed in (0, 1):
            rows = table[table["seed"] == seed]
            assert Counter(zip(rows["attack"], rows["iterations"], rows["iterate"], strict=True)) == expected
            pgd = rows[rows["attack"] == "pgd"]
            assert Counter(zip(pgd["loss"], pgd["restarts"], strict=True)) == Counter(
                [*((loss, restarts) for loss in ("cross_entropy", "margin") for restarts in (1, 2)), ("worst", 4)]
            )
            correct = rows.set_index(["attack", "iterations", "iterate"])["correct"]
            assert correct["clean", 0, 0] == correct["bim", 10, 0], "an attack starts at the clean images"
            assert correct["fgsm", 1, 1] == correct["bim", 1, 1], "BIM of one step is FGSM"
        examples = {"pgd": 32, "apgd_ce": 4, "apgd_t": 4, "fab_t": 2, "square": 2, "autoattack": 2}
        assert (table["examples"] == table["attack"].map(examples).fillna(48)).all()
        assert (table["accuracy"] == table["correct"] / table["examples"]).all()
        epsilon = CONFIG["datasets"][dataset]["epsilon"]
        assert (table.loc[table["attack"] != "clean", "epsilon"] == epsilon).all()


def test_the_strongest_figure_is_of_the_images_that_withstood_the_cell_s_attacks_the_audit_s_and_the_transfer(
    finished_run: Workspace,
) -> None:
    own, audit = (read(finished_run, f"{folder}mnist/proposed{kind}") for folder, kind in (("", ""), ("audits/", ".outcomes")))
    others = read(finished_run, "transfer/mnist.outcomes").query("defense == 'proposed'")
    assert list(others.columns) == list(audit.columns) == EVALUATION_SCHEMA.names
    after_pgd = ("longer_pgd", "half_step", "twice_step", "square", "noise")
    assert Counter(audit["attack"]) == Counter({f"{attack}_after_pgd": 2 for attack in after_pgd})
    assert list(zip(others["attack"], others["seed"], strict=True)) == [("transfer", 0), ("transfer", 1)]
    everything = pd.concat([own, audit, others])
    assert everything["chance"].between(0.1, 0.5).all()
    withstood = [
        np.logical_and.reduce([unpack_outcomes(row.outcomes, row.examples)[:2] for row in rows.itertuples()]).mean()
        for _, rows in everything.groupby("seed")
    ]
    row = read(finished_run, "table1").query("defense == 'proposed' and column == 'Strongest'").iloc[0]
    assert (row["mean"], row["examples"]) == (pytest.approx(100 * np.mean(withstood)), 2)


def test_models_hold_all_seeds_and_histories_a_row_for_each_epoch(finished_run: Workspace) -> None:
    for dataset, defense in CELLS:
        model = checkpoint.load(finished_run.results / "models" / dataset / f"{defense}.pt")
        assert model["network"] == "small_cnn"
        first, second = (model["weights"][seed] for seed in ("0", "1"))
        assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))
        history = read(finished_run, f"models/{dataset}/{defense}.history")
        epochs = RECIPE["epochs"] if defense == "proposed" else 3
        expected = [(seed, epoch) for seed in (0, 1) for epoch in range(1, epochs + 1)]
        assert list(zip(history["seed"], history["epoch"], strict=True)) == expected


def test_results_say_what_made_them_down_to_the_training(finished_run: Workspace) -> None:
    made = read_provenance(finished_run.results / "table1.parquet")
    trained = {
        (record["settings"]["dataset"], record["settings"]["defense"]["method"]): record
        for record in made.others.values()
        if "learning_rate" in record["settings"]
    }
    assert len(trained) == len(CELLS)
    common, own = trained["mnist", "bim_adv"], trained["mnist", "proposed"]
    settings = common["settings"]
    assert settings["defense"] == {"method": "bim_adv", "iterations": 10, "labels": "ground_truth"}
    assert (settings["seeds"], settings["epsilon"], settings["epochs"]) == ([0, 1], 0.3, 3)
    assert common["device"].startswith("cpu")
    assert common["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert {key: own["settings"][key] for key in RECIPE} == RECIPE
    assert {key for key in settings if settings[key] != own["settings"][key]} == {"defense", *RECIPE}
    digests = set(made.record["inputs"].values())
    for record in made.others.values():
        digests |= set(record.get("inputs", {}).values())
    assert digests == made.others.keys(), "each input is there, and nothing else"


def test_timing_is_the_median_of_its_rounds(finished_run: Workspace) -> None:
    timing = read(finished_run, "timing").set_index("defense")
    blocks = read(finished_run, "timing_blocks")
    assert Counter(zip(blocks["defense"], blocks["block"], strict=True)) == Counter((d, b) for d in DEFENSES for b in (0, 1))
    median = blocks.groupby("defense")["seconds_per_epoch"].median()
    pd.testing.assert_series_equal(timing["seconds_median"], median, check_like=True, check_names=False)
    assert timing["passes"].to_dict() == {"proposed": 3, "bim10_adv": 12}
    assert (timing["seconds_lower"] <= timing["seconds_median"]).all()
    assert (timing["seconds_median"] <= timing["seconds_upper"]).all()


def test_table_1_has_the_means_over_seeds_and_says_how_the_classifiers_were_trained(finished_run: Workspace) -> None:
    table = read(finished_run, "table1")
    csv = pd.read_csv(finished_run.results / "table1.csv").fillna({"departs": ""})
    pd.testing.assert_frame_equal(table, csv, check_dtype=False)
    cell = read(finished_run, "fmnist/bim10_adv")
    clean = 100 * cell.loc[cell["attack"] == "clean", "accuracy"]
    chosen = (table["defense"] == "bim10_adv") & (table["group"] == "Fashion-MNIST") & (table["column"] == "Original")
    (row,) = table[chosen].to_dict("records")
    assert row["mean"] == pytest.approx(clean.mean())
    assert row["std"] == pytest.approx(clean.std())
    assert row["paper"] == 88.59
    for page in ("table1", "claims"):
        text = (finished_run.results / f"{page}.md").read_text().replace("\\", "")
        assert "small_cnn, 96 images, 3 epochs, batch 32, 2 seeds" in text
        assert "Proposed with batch_size 16, epochs 6" in text


def test_a_claim_about_a_classifier_that_did_not_run_cannot_be_told(finished_run: Workspace) -> None:
    table = read(finished_run, "claims").set_index("key")
    assert set(table["verdict"]) <= {str(verdict) for verdict in Verdict}
    untold = table[[len(ours) == 0 for ours in table["ours"]]]
    assert set(untold["verdict"]) == {str(Verdict.CANNOT_BE_TOLD)}
    assert 0 < len(untold) < len(table)
    assert any("fgsm_adv" in rule for rule in untold["rule"])


def test_the_pictures_are_not_empty_and_say_where_they_come_from(finished_run: Workspace) -> None:
    for name in PICTURES:
        with Image.open(finished_run.results / f"{name}.png") as picture:
            assert picture.width > 1000
            assert len(picture.convert("RGB").getcolors(2**24)) > 50
            told = picture.text["Description"]
            assert told.startswith("small_cnn, 96 images, 3 epochs, batch 32, 2 seeds; Proposed with batch_size 16, epochs 6")
            assert "; cpu" in told


def test_the_console_shows_each_tenth_of_a_training_and_the_logs_each_epoch(finished_run: Workspace) -> None:
    stdout = (finished_run.folder / "stdout").read_text()
    for dataset, defense in CELLS:
        seen = re.findall(rf"^ *(\d+)% of {dataset}/{defense}: seed", stdout, re.MULTILINE)
        assert len(seen) == (10 if defense == "proposed" else 6), "a line at each new tenth; one of them has but 6 epochs"
        assert seen[-1] == "100"
        log = (finished_run.results / "logs" / "train" / dataset / f"{defense}.log").read_text()
        assert len(log.splitlines()) == (12 if defense == "proposed" else 6)
