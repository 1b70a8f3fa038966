"""The whole pipeline on tiny data, from the local folder to Table I and the figures."""

import re

import pandas as pd
import pytest
import torch
from PIL import Image

from advtrain.results.parquet import checkpoint
from advtrain.results.parquet import EVALUATION_SCHEMA, read_provenance, read_table
from workspace import DATASETS, DEFENSES, Workspace

CELLS = [(dataset, defense) for dataset in DATASETS for defense in DEFENSES]
PICTURES = ("transfer", "figure1", "figure2", "table1_bars", "pareto", "histories")
PAGES = ("audit", "against_paper", "differences", "claims", "cost")


def test_every_file_of_the_design_is_there(finished_run: Workspace) -> None:
    results = finished_run.results
    expected = ["timing.parquet", "timing_blocks.parquet", "pareto.parquet"]
    expected += [f"table1.{kind}" for kind in ("parquet", "csv", "md", "tex", "html")]
    expected += [f"{name}.{kind}" for name in PAGES for kind in ("parquet", "md", "html")]
    expected += [f"{name}.{kind}" for name in PICTURES for kind in ("svg", "pdf", "png")]
    for dataset, defense in CELLS:
        expected += [f"{dataset}/{defense}.parquet"]
        expected += [f"models/{dataset}/{defense}.pt", f"models/{dataset}/{defense}.history.parquet"]
    for name in expected:
        assert (results / name).stat().st_size > 0, name
    assert not list(results.rglob("*.checkpoint")), "a finished training leaves no checkpoint"
    assert not list((finished_run.folder / "results").glob("*.*")), "nothing lands outside the run's own folder"


def test_every_cell_has_every_evaluation_of_every_seed_once(finished_run: Workspace) -> None:
    for dataset, defense in CELLS:
        table = read_table(finished_run.results / dataset / f"{defense}.parquet").to_pandas()
        assert list(table.columns) == EVALUATION_SCHEMA.names
        assert set(table["dataset"]) == {dataset}
        assert set(table["defense"]) == {defense}
        for seed in (0, 1):
            rows = table[table["seed"] == seed]
            found = sorted(zip(rows["attack"], rows["iterations"], rows["iterate"], strict=True))
            assert found == sorted(
                [("clean", 0, 0), ("fgsm", 1, 1)]
                + [("bim", n, n) for n in (1, 2, 30)]
                + [("bim", 10, iterate) for iterate in range(11)]
                + [("bim_fixed_step", 3, 3)]
                + [("pgd", 4, 4)] * 5
                + [("apgd_ce", 100, 100), ("apgd_t", 100, 100), ("fab_t", 100, 100), ("square", 5000, 5000)]
                + [("autoattack", 0, 0)]
            )
            pgd = rows[rows["attack"] == "pgd"]
            assert sorted(zip(pgd["loss"], pgd["restarts"], strict=True)) == [
                *((loss, restarts) for loss in ("cross_entropy", "margin") for restarts in (1, 2)),
                ("worst", 4),
            ]
        examples = {"pgd": 32, "apgd_ce": 4, "apgd_t": 4, "fab_t": 2, "square": 2, "autoattack": 2}
        assert (table["examples"] == table["attack"].map(examples).fillna(48)).all()
        assert (table["accuracy"] == table["correct"] / table["examples"]).all()
        epsilon = {"mnist": 0.3, "fmnist": 0.2}[dataset]
        assert (table.loc[table["attack"] != "clean", "epsilon"] == epsilon).all()


def test_attacks_agree_with_each_other(finished_run: Workspace) -> None:
    for dataset, defense in CELLS:
        table = (
            read_table(finished_run.results / dataset / f"{defense}.parquet")
            .to_pandas()
            .set_index(["seed", "attack", "iterations", "iterate"])
        )
        for seed in (0, 1):
            correct = table["correct"].loc[seed]
            assert correct["clean", 0, 0] == correct["bim", 10, 0]
            assert correct["fgsm", 1, 1] == correct["bim", 1, 1]


def test_models_hold_all_seeds_and_load_as_weights_only(finished_run: Workspace) -> None:
    for dataset, defense in CELLS:
        model = checkpoint.load(finished_run.results / "models" / dataset / f"{defense}.pt")
        assert model["network"] == "small_cnn"
        assert list(model["weights"]) == ["0", "1"]
        assert not torch.equal(model["weights"]["0"]["7.weight"], model["weights"]["1"]["7.weight"])


def test_histories_have_a_row_for_each_seed_and_epoch(finished_run: Workspace) -> None:
    for dataset, defense in CELLS:
        history = read_table(finished_run.results / "models" / dataset / f"{defense}.history.parquet").to_pandas()
        assert list(zip(history["seed"], history["epoch"], strict=True)) == [(s, e) for s in (0, 1) for e in (1, 2, 3)]
        assert history["adversarial_accuracy"].isna().all() == (defense == "vanilla")


def test_results_tell_where_they_come_from(finished_run: Workspace) -> None:
    made = read_provenance(finished_run.results / "mnist" / "proposed.parquet")
    trained = made["inputs"]["proposed.sweep"]["inputs"]["model"]
    assert trained["config"]["defense"] == {
        "method": "proposed",
        "step_divisor": 10,
        "reset_epochs": 3,
        "labels": "ground_truth",
    }
    assert trained["config"]["seeds"] == [0, 1]
    assert trained["config"]["epsilon"] == 0.3
    assert trained["device"].startswith("cpu")
    assert trained["versions"]["torch"] == torch.__version__.partition("+")[0]
    timing = read_provenance(finished_run.results / "timing.parquet")
    assert timing["config"]["threads"] == 1


def test_timing_has_every_defense_and_its_ratio(finished_run: Workspace) -> None:
    timing = read_table(finished_run.results / "timing.parquet").to_pandas().set_index("defense")
    assert set(timing.index) == set(DEFENSES)
    assert (timing["seconds_lower"] <= timing["seconds_median"]).all()
    assert (timing["seconds_median"] <= timing["seconds_upper"]).all()
    assert timing.loc["fgsm_adv", "ratio_median"] == 1
    assert timing.loc["bim30_adv", "ratio_median"] > timing.loc["bim10_adv", "ratio_median"] > 1


def test_the_rounds_of_the_timing_are_kept(finished_run: Workspace) -> None:
    blocks = read_table(finished_run.results / "timing_blocks.parquet").to_pandas()
    assert sorted(zip(blocks["defense"], blocks["block"], strict=True)) == [(d, b) for d in sorted(DEFENSES) for b in (0, 1)]
    timing = read_table(finished_run.results / "timing.parquet").to_pandas().set_index("defense")
    median = blocks.groupby("defense")["seconds_per_epoch"].median()
    pd.testing.assert_series_equal(timing["seconds_median"], median, check_like=True, check_names=False)
    made = read_provenance(finished_run.results / "timing_blocks.parquet")
    assert made == read_provenance(finished_run.results / "timing.parquet")


def test_table_1_has_the_means_over_seeds(finished_run: Workspace) -> None:
    table = read_table(finished_run.results / "table1.parquet").to_pandas()
    pd.testing.assert_frame_equal(table, pd.read_csv(finished_run.results / "table1.csv"), check_dtype=False)
    cell = read_table(finished_run.results / "fmnist" / "atda.parquet").to_pandas()
    bim30 = cell[(cell["attack"] == "bim") & (cell["iterations"] == 30)]
    (row,) = table[(table["defense"] == "atda") & (table["group"] == "Fashion-MNIST") & (table["column"] == "BIM(30)")].to_dict(
        "records"
    )
    assert row["mean"] == pytest.approx(100 * bim30["accuracy"].mean())
    assert row["std"] == pytest.approx(100 * bim30["accuracy"].std())
    assert row["paper"] == 49.1
    text = (finished_run.results / "table1.md").read_text()
    assert "on 48; PGD on 32; AutoAttack on 2" in text
    assert "small_cnn, 96 images, 3 epochs, batch 32" in text


def test_every_claim_has_a_verdict(finished_run: Workspace) -> None:
    table = read_table(finished_run.results / "claims.parquet").to_pandas().set_index("key")
    assert len(table) == 11
    assert set(table["verdict"]) <= {"holds", "holds in part", "does not hold", "cannot be told"}
    reasons = table.loc[[len(ours) == 0 for ours in table["ours"]], "rule"]
    assert reasons.to_dict() == {"bim_converges": "not evaluated here: BIM(5) of mnist/bim10_adv"}
    text = (finished_run.results / "claims.md").read_text()
    assert "48 test images, of 2 seeds" in text
    assert "small_cnn, 96 images, 3 epochs, batch 32" in text


def test_the_pictures_are_not_empty(finished_run: Workspace) -> None:
    for name in PICTURES:
        with Image.open(finished_run.results / f"{name}.png") as picture:
            assert picture.width > 1000
            assert len(picture.convert("RGB").getcolors(2**24)) > 50
            assert picture.text["Description"].startswith("small_cnn, 96 images, 3 epochs, batch 32, 2 seeds; cpu")


def test_who_watches_sees_each_training_go_on_and_the_logs_have_each_epoch(finished_run: Workspace) -> None:
    stdout = (finished_run.folder / "stdout").read_text()
    for dataset, defense in CELLS:
        seen = re.findall(rf"^ *(\d+)% of {dataset}/{defense}: seed", stdout, re.MULTILINE)
        assert seen == ["17", "33", "50", "67", "83", "100"], "6 epochs in all, and a line at each new tenth"
        log = (finished_run.results / "logs" / "train" / dataset / f"{defense}.log").read_text()
        assert len(log.splitlines()) == 6


def test_a_second_run_does_nothing(finished: Workspace) -> None:
    result = finished.snakemake("--cores", "2", "--", "all")
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr
