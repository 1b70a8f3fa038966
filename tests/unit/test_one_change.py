"""From one method to another, one change at a time: the table, its page and the chart."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from advtrain.report.columns import STRONGEST
from advtrain.report.one_change import COLUMNS, Rung, ladder_table, page
from advtrain.report.one_change_chart import ladder_figure
from advtrain.system.errors import InputError
from evaluated import DATASETS, evaluated, labels_of

RUNGS = [
    Rung(defense="first", change="First"),
    Rung(defense="second", change="one $ more"),
    Rung(defense="third", change="another"),
]
ROBUST = {"first": 70, "second": 50, "third": 52}
LABELS = labels_of(defenses={name: name.title() for name in ROBUST}, departures={"third": "epochs 30"})
EPOCHS = {"first": 20, "second": 20, "third": 30, "other": 1}
TIMING = pd.DataFrame({"defense": ["third", "second", "first", "other"], "passes": [2.0, 3.0, 3.0, 1.0]})
TIMING = TIMING.assign(seconds_median=100.0, seconds_lower=90.0, seconds_upper=110.0)


def rung_rows(dataset: str, name: str, autoattack: int, seed: int) -> list[dict]:
    return evaluated(dataset, name, seed, clean=990, bim10=970, bim30=960, pgd=450, autoattack=autoattack)


def table(seeds: int = 3) -> pd.DataFrame:
    """A seed is right on one image of 100 more under AutoAttack, on the third rung on two; under PGD on many more."""
    rows = []
    for dataset, (name, robust), seed in itertools.product(DATASETS, ROBUST.items(), range(seeds)):
        rows += rung_rows(dataset, name, robust + seed * (2 if name == "third" else 1), seed)
    return ladder_table(pd.DataFrame(rows), TIMING, RUNGS, EPOCHS, list(DATASETS))


def strongest(seeds: int = 3) -> pd.DataFrame:
    found = table(seeds)
    return found[(found["dataset"] == "fmnist") & (found["column"] == STRONGEST)].set_index("rung")


def test_each_rung_is_compared_with_the_one_before_paired_by_seed() -> None:
    found = strongest()
    assert found["mean"].tolist() == pytest.approx([71, 51, 54])
    assert found["difference"].tolist() == pytest.approx([np.nan, -20, 3], nan_ok=True)
    constant = found.loc[2, ["difference_lower", "difference_upper"]]
    assert constant.tolist() == pytest.approx([-20, -20]), "each seed loses as much, wherever it started"
    assert found.loc[3, "difference_lower"] < 3 < found.loc[3, "difference_upper"]


def test_a_rung_may_be_compared_with_an_earlier_one_which_its_name_says_and_a_line_of_the_chart_shows() -> None:
    rungs = [RUNGS[0], RUNGS[1], Rung(defense="third", change="another", base="first")]
    rows = [row for name, robust in ROBUST.items() for seed in (0, 1) for row in rung_rows("mnist", name, robust + seed, seed)]
    found = ladder_table(pd.DataFrame(rows), TIMING, rungs, EPOCHS, ["mnist"])
    worst = found[found["column"] == STRONGEST].set_index("rung")
    assert worst["base"].tolist() == [0, 1, 1]
    assert worst.loc[3, "difference"] == pytest.approx(52 - 70)
    labels = dataclasses.replace(LABELS, datasets={"mnist": "MNIST"})
    _, _, changes = page(found, labels)
    assert changes.table is not None
    assert list(changes.table.index) == ["2. one $ more", "3. from 1: another"]
    lines = [
        line.get_xdata().tolist() for line in ladder_figure(found, labels).axes[0].get_lines() if len(line.get_xdata()) == 2
    ]
    assert [70.5, 52.5] in [[round(x, 1) for x in line] for line in lines]


def test_each_rung_has_the_price_of_its_whole_training() -> None:
    found = strongest()
    assert found["defense"].tolist() == ["first", "second", "third"]
    assert found["passes"].tolist() == [60, 60, 60]
    assert found["seconds"].tolist() == [2000, 2000, 3000]
    with pytest.raises(InputError, match="the training time of first was not measured"):
        ladder_table(pd.DataFrame(), TIMING[:2], RUNGS, EPOCHS, ["mnist"])


def test_the_page_has_the_rungs_in_order_with_price_then_what_each_change_did() -> None:
    note, reached, changes, *_ = page(table(), LABELS)
    for said in ("mean over 3 seeds", "PGD on 500", "Strongest on 100", "Third with epochs 30"):
        assert said in note.text
    assert reached.table is not None
    assert changes.table is not None
    assert list(reached.table.columns) == [*COLUMNS, "Passes", "Seconds"]
    assert list(reached.table.index) == ["1. First", "2. one $ more", "3. another"]
    assert reached.table.loc["2. one $ more", [STRONGEST, "Passes", "Seconds"]].tolist() == [
        "51.00 (48.5 to 53.5)",
        "60",
        "2,000",
    ]
    assert list(changes.table.index) == ["2. one $ more", "3. another"]
    assert changes.table.loc["3. another", STRONGEST] == "+3.00 (+0.5 to +5.5)"


def test_a_difference_of_one_seed_has_an_interval_over_images_which_says_so() -> None:
    _, _, changes, *_ = page(table(seeds=1), LABELS)
    assert changes.table is not None
    assert changes.table.loc["2. one $ more", STRONGEST].startswith("-20.00 (images: -")


def test_a_difference_is_of_the_seeds_that_both_rungs_have() -> None:
    rows = [
        row for name, seeds in (("first", 1), ("second", 3)) for n in range(seeds) for row in rung_rows("mnist", name, 70, n)
    ]
    found = ladder_table(pd.DataFrame(rows), TIMING, RUNGS[:2], EPOCHS, ["mnist"])
    reached, changes = (section.table for section in page(found, dataclasses.replace(LABELS, datasets={"mnist": "MNIST"}))[1:])
    assert reached is not None
    assert changes is not None
    assert "images" not in reached.loc["2. one $ more", STRONGEST]
    assert changes.loc["2. one $ more", STRONGEST].startswith("+0.00 (images: -")


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_chart_has_a_line_of_dots_for_each_rung_and_the_price_beside_it(seeds: int) -> None:
    mnist, fmnist, price = ladder_figure(table(seeds), LABELS).axes
    for axis in (mnist, fmnist):
        dots = {bar.get_label(): bar.lines[0].get_xydata() for bar in axis.containers}
        assert list(dots) == ["BIM(30)", "PGD", STRONGEST]
        for at in dots.values():
            assert np.rint(at[:, 1]).tolist() == [1, 2, 3]
        assert dots["PGD"][:, 0].tolist() == pytest.approx([90, 90, 90])
        bars = [segment for bar in axis.containers for segment in bar.lines[2][0].get_segments()]
        assert [len(segment) > 0 and bool(np.isfinite(segment).all()) for segment in bars] == [seeds > 1] * 9
    assert [bar.get_width() for bar in price.patches] == [60, 60, 60]
    assert [label.get_text() for label in mnist.get_yticklabels()] == ["1. First", r"2. one \$ more", "3. another"]
    assert mnist.yaxis_inverted()
