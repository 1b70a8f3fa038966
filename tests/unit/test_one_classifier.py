"""A run of one classifier on one data set, the paper's or another: every page and figure of `all` is made."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from advtrain.audit.criteria import CHECKS
from advtrain.evaluation.transferability import ANY
from advtrain.report import (
    audit_page,
    claims_page,
    collapses,
    figures,
    job_times,
    pairs,
    paper_comparison,
    robustness_and_price,
    table_one,
    training_curves,
)
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, to_html, to_markdown
from advtrain.report.paper_claims import Figures, judge_all
from evaluated import evaluated

NAMES = ("fgsm_adv", "mine")
HISTORY = pd.DataFrame(
    [(0, epoch, 0.1 * epoch, 0.2 * epoch, 0.2 * epoch, 0.5) for epoch in (1, 2)],
    columns=["seed", "epoch", "pgd_accuracy", "fgsm_accuracy", "adversarial_accuracy", "alignment"],
)


def labels(name: str) -> Labels:
    return Labels(
        datasets={"mnist": "MNIST"}, defenses={name: "Mine"}, families={name: "none"}, scale="small_cnn", departures={}
    )


def evaluations(name: str) -> pd.DataFrame:
    rows = evaluated("mnist", name, clean=990, fgsm=900, bim10=800, bim30=700, pgd=300, autoattack=50)
    trace = [{**rows[2], "iterate": iterate} for iterate in range(10)]
    return pd.DataFrame(rows + trace)


def timing(name: str) -> pd.DataFrame:
    """The ratio is to FGSM-Adv, which may not be there."""
    ratio = 1.0 if name == "fgsm_adv" else float("nan")
    spread = {
        f"{column}_{part}": value for column, value in (("seconds", 4.0), ("ratio", ratio)) for part in ("lower", "upper")
    }
    return pd.DataFrame([{"defense": name, "seconds_median": 4.0, "ratio_median": ratio, "passes": 3.0, **spread}])


def audit(name: str) -> pd.DataFrame:
    rows = [("mnist", name, 0, check, 0.0, 0.0, 500) for check in CHECKS]
    columns = ["dataset", "defense", "seed", "check", "value", "error", "examples"]
    return audit_page.audit_table(pd.DataFrame(rows, columns=columns))


def pages(name: str) -> dict[str, list[Section]]:
    found, rows = labels(name), evaluations(name)
    table = table_one.table_1(rows, timing(name), audit(name), found)
    blocks = pd.DataFrame({"block": [0, 1], "defense": name, "seconds_per_epoch": [4.0, 4.1]})
    judged = Figures(rows, blocks, "mnist", found.datasets, found.defenses)
    history = HISTORY.assign(dataset="mnist", defense=name)
    trained = pd.DataFrame([{"rule": "train", "dataset": "mnist", "defense": name, "jobs": 1, "seconds": 60.0}])
    jobs = pd.DataFrame({"rule": ["strong"], "jobs": [1], "seconds": [9.0]})
    return {
        "audit": audit_page.page(audit(name), found),
        "table1": table_one.page(table, audit(name), found, "a machine"),
        "headline": table_one.headline(table, found, {name: 2}),
        "against_paper": paper_comparison.page(paper_comparison.against_paper(table), found),
        "differences": pairs.page(pairs.differences(rows, found), found),
        "claims": claims_page.page(judge_all(judged), judged, found, "a machine"),
        "overfitting": collapses.page(collapses.overfitting_table(history, pd.DataFrame(), found), found, "images"),
        "cost": job_times.page(job_times.cost_table(trained, jobs, timing(name)), found, "a machine"),
    }


def pictures(name: str) -> dict[str, Figure]:
    found, rows = labels(name), evaluations(name)
    table = table_one.table_1(rows, timing(name), audit(name), found)
    pareto = robustness_and_price.pareto_table(rows, timing(name), {name: 2}, found)
    matrix = pd.DataFrame(
        [{"dataset": "mnist", "seed": 0, "source": of, "target": name, "accuracy": 0.5} for of in (name, ANY)]
    )
    history = HISTORY.assign(dataset="mnist", defense=name)
    return {
        "figure1": figures.figure_1(rows, found),
        "figure2": figures.figure_2(rows, found, 10),
        "table1_bars": figures.table_1_bars(table, found),
        "pareto": robustness_and_price.pareto_figure(pareto, found),
        "transfer": figures.transfer_map(matrix, found),
        "histories": training_curves.histories_figure(history, found, 10),
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_page_is_made_and_shows_no_number_that_is_none(name: str) -> None:
    for page, sections in pages(name).items():
        text = to_markdown(page, sections) + to_html(page, sections)
        assert "nan" not in text, page
        assert "on  images" not in text, page


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_is_drawn(name: str) -> None:
    for figure in pictures(name).values():
        figure.canvas.draw()
