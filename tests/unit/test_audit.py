"""Verdicts, and the audit's table and page."""

import pandas as pd
import pytest

from advtrain.report.audit_page import audit_of_the_paper, audit_table, failed_checks, failures_in_words, overview, page
from advtrain.audit.criteria import CHECKS, FAIL, PASS, WARN
from advtrain.system.errors import InputError
from advtrain.report.pages import to_html, to_markdown

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {"vanilla": "Vanilla", "atda": "ATDA"}


def findings(**values: float) -> pd.DataFrame:
    """What the checks measured on two seeds of each cell: 0 but for these values, of ATDA on MNIST with seed 1."""
    rows = [
        {"dataset": d, "defense": m, "seed": s, "check": c, "value": 0.0, "error": 0.0, "examples": 500}
        for d in DATASETS
        for m in DEFENSES
        for s in (0, 1)
        for c in CHECKS
    ]
    for row in rows:
        if (row["dataset"], row["defense"], row["seed"]) == ("mnist", "atda", 1):
            row["value"] = values.get(row["check"], 0.0)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("check", "value", "error", "expected"),
    [
        ("margin_loss_better", 0.01, 0.0, PASS),  # at most 1 point
        ("restarts_matter", 0.004, 0.0, PASS),
        ("restarts_matter", 0.005, 0.0, FAIL),  # less than 0.5 points
        ("restarts_matter", 0.005, 0.001, WARN),
        ("restarts_matter", 0.012, 0.0036, WARN),
        ("restarts_matter", 0.012, 0.0034, FAIL),
        ("catastrophic_overfitting", 0.20, 0.01, PASS),
        ("catastrophic_overfitting", 0.22, 0.01, WARN),
        ("catastrophic_overfitting", 0.23, 0.01, FAIL),
        ("label_leaking", -0.3, 0.1, PASS),
        ("zero_gradients", 1.0, 0.0, FAIL),
        ("stronger_single_step", 2.0, 0.0, PASS),
        ("stronger_single_step", 2.1, 0.0, FAIL),
        ("not_deterministic", 1e-9, 0.0, FAIL),
        ("outside_domain", 1.0, 0.0, FAIL),
        ("budget_not_reached", 0.1, 0.0, FAIL),
        ("restarts_matter", float("nan"), 0.1, FAIL),
    ],
)
def test_a_verdict_allows_two_standard_errors(check: str, value: float, error: float, expected: str) -> None:
    assert CHECKS[check].verdict(value, error) == expected


def test_the_table_has_value_threshold_verdict_and_reason_of_every_check_and_model() -> None:
    table = audit_table(findings(catastrophic_overfitting=0.9))
    assert len(table) == 2 * 2 * 2 * len(CHECKS)
    assert {"value", "threshold", "unit", "verdict", "why"} <= set(table.columns)
    (row,) = table[table["verdict"] == FAIL].to_dict("records")
    assert (row["dataset"], row["defense"], row["seed"]) == ("mnist", "atda", 1)
    assert (row["check"], row["value"], row["threshold"]) == ("catastrophic_overfitting", 0.9, 0.2)
    assert list(table["check"].unique()) == list(CHECKS)


def test_a_model_that_lacks_a_check_is_named() -> None:
    rows = findings()
    (lacking,) = rows.index[rows[["dataset", "defense", "seed", "check"]].eq(["fmnist", "atda", 1, "noise_better"]).all(axis=1)]
    with pytest.raises(InputError, match=r"fmnist/atda/1 is not whole: \['noise_better'\]"):
        audit_table(rows.drop(lacking))


def test_one_seed_that_fails_makes_the_cell_fail() -> None:
    table = audit_table(findings(label_leaking=0.1, noise_better=0.2))
    assert {cell: [check.name for check in checks] for cell, checks in failed_checks(table).items()} == {
        ("mnist", "atda"): ["noise_better", "label_leaking"]
    }
    assert failures_in_words(table, DATASETS, DEFENSES) == "noise better: ATDA on MNIST. label leaking: ATDA on MNIST"
    assert failures_in_words(audit_table(findings()), DATASETS, DEFENSES) == ""


def test_the_overview_shows_the_worst_seed() -> None:
    wide = overview(audit_table(findings(catastrophic_overfitting=0.9)), "mnist", DEFENSES)
    assert wide.loc["No catastrophic overfitting", "ATDA"] == "✗ fail 90.00 points (1 of 2 seeds)"
    assert wide.loc["No catastrophic overfitting", "Vanilla"] == "✓ pass 0.00 points"
    assert wide.shape == (len(CHECKS), 2)


def test_the_page_says_verdicts_reasons_and_what_the_paper_s_figures_give() -> None:
    title, sections = page(audit_table(findings(catastrophic_overfitting=0.9)), DATASETS, DEFENSES, "20 epochs")
    html, markdown = to_html(title, sections), to_markdown(title, sections)
    for text in (html, markdown):
        assert "183 pass, 0 warn, 1 fail" in text
        assert "20 epochs" in text
        assert "catastrophic overfitting: ATDA on MNIST" in text
        for check in CHECKS.values():
            assert check.title in text
    assert html.count('<td class="fail">✗ fail 90.00 points') == 1


def test_the_paper_s_own_figures_are_audited_as_far_as_it_printed_them() -> None:
    defenses = {"fgsm_adv": "FGSM-Adv", "atda": "ATDA", "proposed": "Proposed", "bim10_adv": "B10", "bim30_adv": "B30"}
    found = audit_of_the_paper(DATASETS, defenses)
    rows = {(row["data set"], row["classifier"], row["check"]): row["verdict"] for row in found.to_dict("records")}
    assert rows["MNIST", "ATDA", "No label leaking"] == "~ warn", "97.90 under FGSM, 97.80 clean: chance cannot be told off"
    assert rows["MNIST", "FGSM-Adv", "No catastrophic overfitting"] == "✗ fail", "98.65 under FGSM, 2.13 under BIM(30)"
    assert rows["Fashion-MNIST", "Proposed", "Converged in iterations"] == "✗ fail", "70.74, then 66.03"
    assert ("MNIST", "Proposed", "Converged in iterations") not in rows
    assert ("MNIST", "Proposed", "No catastrophic overfitting") not in rows
