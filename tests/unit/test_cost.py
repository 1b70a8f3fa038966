from pathlib import Path

import pandas as pd
import pyarrow as pa

from advtrain.report.job_times import cost_table, page, seconds_by_rule, training_seconds
from advtrain.results.parquet import write_table

TRAININGS = pd.DataFrame(
    [
        {"rule": "train", "dataset": dataset, "defense": defense, "jobs": 1, "seconds": seconds}
        for dataset in ("mnist", "fmnist")
        for defense, seconds in (("proposed", 360.0), ("vanilla", 180.0))
    ]
)
JOBS = pd.DataFrame({"rule": ["audit", "train"], "jobs": [1, 4], "seconds": [90.0, 7.0]})


def test_the_seconds_of_a_rule_are_those_of_all_its_jobs_but_for_choices_and_the_ablation(tmp_path: Path) -> None:
    seconds_of = {"train/mnist/atda": 2.5, "train/fmnist/atda": 4.0, "train/fmnist/atda__batch_128": 8.0, "table1": 1.0}
    for name, seconds in seconds_of.items():
        file = tmp_path / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    assert seconds_by_rule(tmp_path).to_numpy().tolist() == [["table1", 1, 1.0], ["train", 2, 6.5]]


def test_a_training_took_the_seconds_of_all_its_epochs_whatever_its_last_job_took(tmp_path: Path) -> None:
    file = tmp_path / "fmnist" / "proposed.history.parquet"
    write_table(pa.Table.from_pylist([{"seed": 0, "epoch": n, "seconds": 60.0} for n in (1, 2, 3)]), file, {})
    trainings = training_seconds([file])
    assert trainings.to_dict("records") == [
        {"rule": "train", "dataset": "fmnist", "defense": "proposed", "jobs": 1, "seconds": 180.0}
    ]
    table = cost_table(trainings, JOBS)
    assert dict(zip(table["rule"], table["seconds"], strict=True)) == {"train": 180.0, "audit": 90.0}


def test_people_read_minutes_and_the_device() -> None:
    titles = {"vanilla": "Vanilla", "proposed": "Proposed"}
    note, trained, rules = page(cost_table(TRAININGS, JOBS), {"mnist": "MNIST", "fmnist": "Fashion"}, titles, "cpu of a kind")
    assert "cpu of a kind" in note.text
    assert "Added up they took 0.3 hours" in note.text
    assert trained.table is not None
    assert trained.table.to_dict("index") == {
        "Vanilla": {"MNIST": "3.0", "Fashion": "3.0"},
        "Proposed": {"MNIST": "6.0", "Fashion": "6.0"},
    }
    assert rules.table is not None
    assert rules.table.to_dict("index") == {"train": {"Jobs": "4", "Minutes": "18.0"}, "audit": {"Jobs": "1", "Minutes": "1.5"}}
