"""The methods in each setting by price, with what they reach and how many of their trainings collapsed."""

import itertools

import pandas as pd
import pytest

from advtrain.report.columns import STRONGEST
from advtrain.report.methods_by_price import Setting, methods_table, page
from evaluated import DATASETS, evaluated, labels_of

SETTINGS = [
    Setting(title="the paper's", defenses=("dear", "cheap", "slower")),
    Setting(title="their own", defenses=("short",)),
]
ROBUST = {"cheap": 20, "dear": 70, "slower": 40, "short": 60}
EPOCHS = {"cheap": 80, "dear": 80, "slower": 80, "short": 40, "not_shown": 80}
LABELS = labels_of(defenses={name: name.title() for name in EPOCHS}, departures={"short": "epochs 40"})
TIMING = pd.DataFrame(
    [("cheap", 2.5, 1.0), ("dear", 12.0, 1.5), ("slower", 2.5, 2.0), ("short", 42.0, 9.0)],
    columns=["defense", "passes", "seconds_median"],
).assign(seconds_lower=0.5, seconds_upper=10.0)
COLLAPSES = {
    "cheap": [(12, False, 0.6), (30, True, 0.6), (None, False, 0.1)],
    "dear": [(None, False, 0.9)] * 3,
    "slower": [(None, False, 0.05)] * 3,
    "short": [(5, False, 0.5), (None, False, 0.9), (None, False, 0.9)],
}
"""Of each seed, the epoch of the collapse, whether it recovered, and the highest accuracy under PGD."""


def table() -> pd.DataFrame:
    rows = []
    for dataset, (name, robust), seed in itertools.product(DATASETS, ROBUST.items(), range(3)):
        rows += evaluated(dataset, name, seed, clean=990, bim10=970, pgd=450, autoattack=robust + seed)
    overfitting = pd.DataFrame(
        [
            {"dataset": dataset, "defense": name, "seed": seed, "collapsed": epoch, "recovered": recovered, "pgd": highest}
            for dataset, (name, seeds) in itertools.product(DATASETS, COLLAPSES.items())
            for seed, (epoch, recovered, highest) in enumerate(seeds)
        ]
    ).astype({"collapsed": "float64"})  # as Parquet gives it back
    return methods_table(pd.DataFrame(rows), TIMING, overfitting, SETTINGS, EPOCHS, list(DATASETS))


def test_the_methods_of_a_setting_are_in_the_order_of_their_price_in_passes_then_in_seconds() -> None:
    found = table()
    worst = found[(found["dataset"] == "mnist") & (found["column"] == STRONGEST)]
    rows = worst[["setting", "defense", "passes", "seconds"]].to_numpy().tolist()
    assert rows == [
        ["the paper's", "cheap", 200, 80],
        ["the paper's", "slower", 200, 160],
        ["the paper's", "dear", 960, 120],
        ["their own", "short", 1680, 360],
    ]
    assert worst["mean"].tolist() == pytest.approx([21, 41, 71, 61])


def test_trainings_that_collapsed_are_counted() -> None:
    found = table().drop_duplicates(["dataset", "defense"]).set_index(["dataset", "defense"])
    counted = found[["collapsed", "recovered", "never_robust"]].loc["fmnist"].T.to_dict("list")
    assert counted == {"cheap": [2, 1, 1], "slower": [0, 0, 3], "dear": [0, 0, 0], "short": [1, 0, 0]}


def test_the_page_has_a_table_for_each_data_set_and_setting() -> None:
    note, papers, own, *_ = page(table(), LABELS)
    for said in ("mean over 3 seeds", "AutoAttack on 100", "never came to 20%", "Short with epochs 40"):
        assert said in note.text
    assert (papers.heading, own.heading) == ("MNIST: the paper's", "MNIST: their own")
    assert papers.table is not None
    assert own.table is not None
    assert papers.table["Collapsed"].to_dict() == {
        "Cheap": "2 of 3 (epochs 12, 30), 1 recovered; 1 never robust",
        "Slower": "3 never robust",
        "Dear": "no",
    }
    assert own.table.loc["Short"].to_dict() == {
        "Price": "1,680 passes (42), 360 s",
        "Original": "99.00 (99.0 to 99.0)",
        "PGD": "90.00 (90.0 to 90.0)",
        "AutoAttack": "61.00 (58.5 to 63.5)",
        STRONGEST: "61.00 (58.5 to 63.5)",
        "Collapsed": "1 of 3 (epoch 5)",
    }
