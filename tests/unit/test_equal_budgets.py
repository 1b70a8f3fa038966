"""What each method makes of the same number of passes: the table, its page and the chart."""

import itertools

import numpy as np
import pandas as pd
import pytest

from advtrain.report.columns import STRONGEST
from advtrain.report.equal_budgets import Budgeted, budgets_table, page
from advtrain.report.equal_budgets_chart import budgets_figure
from evaluated import DATASETS, evaluated, labels_of

TRAINED = [
    Budgeted(classifier="proposed__budget60", defense="proposed", budget=60, epochs=20, passes=60),
    Budgeted(classifier="proposed", defense="proposed", budget=240, epochs=80, passes=240),
    Budgeted(classifier="bim30_adv__budget60", defense="bim30_adv", budget=60, epochs=2, passes=64),
    Budgeted(classifier="bim30_adv__budget240", defense="bim30_adv", budget=240, epochs=8, passes=256),
]
ROBUST = {"proposed__budget60": 50, "proposed": 70, "bim30_adv__budget60": 10, "bim30_adv__budget240": 40}
LABELS = labels_of("vanilla", "proposed", "bim30_adv", scale="small_cnn, epochs by budget")


def table(seeds: int = 3) -> pd.DataFrame:
    """Each seed is right on one image more under AutoAttack, and PGD leaves more than that."""
    rows = []
    for dataset, (name, robust), seed in itertools.product(DATASETS, ROBUST.items(), range(seeds)):
        rows += evaluated(dataset, name, seed, clean=990, bim10=900, pgd=450, autoattack=robust + seed)
    return budgets_table(pd.DataFrame(rows), TRAINED, list(DATASETS))


def test_each_classifier_has_its_accuracy_in_the_worst_case_and_its_budget() -> None:
    found = table().set_index(["dataset", "column", "defense", "budget"])
    worst = found.loc[("mnist", STRONGEST, "bim30_adv", 60)]
    assert worst[["mean", "std", "seeds", "examples", "epochs", "passes"]].tolist() == pytest.approx([11, 1, 3, 100, 2, 64])
    assert worst["lower"] < 11 < worst["upper"]
    assert found.loc[("fmnist", "Original", "proposed", 240), "mean"] == pytest.approx(99)


def test_the_page_says_how_long_each_trained_and_what_it_reached() -> None:
    note, lengths, worst, clean, *_ = page(table(), LABELS)
    for said in ("on 100 images, clean on 1,000", "mean over 3 seeds", "epochs by budget", "stretched or shrunk"):
        assert said in note.text
    assert lengths.table is not None
    assert lengths.table.to_dict("index") == {
        "Proposed": {"60 passes": "20 (60)", "240 passes": "80 (240)"},
        "BIM(30)-Adv": {"60 passes": "2 (64)", "240 passes": "8 (256)"},
    }
    assert worst.table is not None
    assert worst.table.loc["BIM(30)-Adv"].tolist() == ["11.00 (8.5 to 13.5)", "41.00 (38.5 to 43.5)"]
    assert (worst.heading, clean.heading) == ("MNIST: worst case of BIM, PGD and AutoAttack", "MNIST: clean images")


def test_the_legend_of_a_single_data_set_s_chart_fits() -> None:
    names = {f"method_{n}": f"BIM({n})-Adv" for n in range(15)}
    trained = [Budgeted(classifier=name, defense=name, budget=60, epochs=20, passes=60) for name in names]
    rows = [row for name in names for row in evaluated("mnist", name, bim10=900, clean=990, autoattack=50)]
    labels = labels_of(datasets={"mnist": "MNIST"}, defenses=names)
    figure = budgets_figure(budgets_table(pd.DataFrame(rows), trained, ["mnist"]), labels)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0
    assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_chart_has_a_line_for_each_defense_with_its_marks_beside_the_others_and_bars_over_seeds(seeds: int) -> None:
    figure = budgets_figure(table(seeds), LABELS)
    for axis in figure.axes:
        lines = {bar.get_label(): bar.lines[0].get_xydata() for bar in axis.containers}
        assert list(lines) == ["Proposed", "BIM(30)-Adv"], "Vanilla has no budget"
        assert np.rint(lines["Proposed"][:, 0]).tolist() == np.rint(lines["BIM(30)-Adv"][:, 0]).tolist() == [0, 1]
        assert (lines["Proposed"][:, 0] < lines["BIM(30)-Adv"][:, 0]).all()
        assert lines["Proposed"][:, 1].tolist() == pytest.approx([50 + seeds // 2, 70 + seeds // 2])
        assert [label.get_text() for label in axis.get_xticklabels()] == ["60", "240"]
        bars = [segment for bar in axis.containers for segment in bar.lines[2][0].get_segments()]
        assert [len(segment) > 0 and bool(np.isfinite(segment).all()) for segment in bars] == [seeds > 1] * 4
