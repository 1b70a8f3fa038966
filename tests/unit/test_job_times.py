"""What a run took: seconds of each training from its history, of each other rule from Snakemake's benchmark files."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from advtrain.report.columns import PASSES
from advtrain.report.job_times import cost_table, page, seconds_by_rule, training_seconds
from advtrain.results.parquet import write_table
from advtrain.results.provenance import made_by
from evaluated import labels_of

LABELS = labels_of("vanilla", "proposed", datasets={"mnist": "MNIST", "fmnist": "Fashion"})
TRAININGS = pd.DataFrame(
    [("train", data, defense, 1, 180.0 * n) for data in LABELS.datasets for n, defense in enumerate(LABELS.defenses, start=1)],
    columns=["rule", "dataset", "defense", "jobs", "seconds"],
)
TIMING = pd.DataFrame({"defense": ["vanilla", "proposed"], "passes": [1.0, 3.5]})
JOBS = pd.DataFrame({"rule": ["audit", "train"], "jobs": [1, 4], "seconds": [90.0, 7.0]})


def test_only_jobs_of_the_given_rules_data_sets_and_defenses_count(tmp_path: Path) -> None:
    counted = {"strong/mnist/vanilla": 2.5, "strong/fmnist/proposed": 4.0, "download/mnist": 0.5, "time_epochs": 1.0}
    others = ("strong/mnist/proposed__batch_128", "strong/kmnist/vanilla", "download/kmnist", "figure1", "sweep/mnist/vanilla")
    for name, seconds in {**counted, **dict.fromkeys(others, 8.0)}.items():
        file = tmp_path / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    found = seconds_by_rule(tmp_path, ["strong", "download", "time_epochs", "transfer"], LABELS)
    assert found.to_numpy().tolist() == [["download", 1, 0.5], ["strong", 2, 6.5], ["time_epochs", 1, 1.0]]


def test_a_training_took_the_seconds_of_all_its_epochs_whatever_its_last_job_took(tmp_path: Path) -> None:
    file = tmp_path / "fmnist" / "proposed.history.parquet"
    epochs = [{"seed": 0, "epoch": n, "seconds": 60.0} for n in (1, 2, 3)]
    write_table(pa.Table.from_pylist(epochs), file, made_by({}))
    training, job = cost_table(training_seconds([file]), JOBS, TIMING).to_numpy().tolist()
    assert training == ["train", "fmnist", "proposed", 1, 180.0, 3.5]
    assert job[:5] == ["audit", "", "", 1, 90.0]
    assert pd.isna(job[5]), "no training, no passes"


def test_the_page_has_minutes_and_passes_of_each_training_minutes_of_each_rule_and_the_device() -> None:
    note, *sections = page(cost_table(TRAININGS, JOBS, TIMING), LABELS, "cpu of a kind")
    trained, rules = (section.table for section in sections if section.table is not None)
    assert "0.3 hours in all; the trainings ran on cpu of a kind." in note.text
    assert trained.loc["Vanilla"].to_dict() == {"MNIST": "3.0", "Fashion": "3.0", PASSES: "1"}
    assert trained.loc["Proposed"].to_dict() == {"MNIST": "6.0", "Fashion": "6.0", PASSES: "3.5"}
    assert rules.loc["train"].to_dict() == {"Jobs": "4", "Minutes": "18.0"}
    assert rules.loc["audit"].to_dict() == {"Jobs": "1", "Minutes": "1.5"}
