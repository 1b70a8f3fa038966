"""The audit's verdicts, table and page."""

import itertools

import pandas as pd
import pytest

from advtrain.audit.criteria import CHECKS, FAIL, PASS, PGD, WARN
from advtrain.report.audit_page import audit_of_the_paper, audit_table, failed_checks, failures_in_words, overview, page
from advtrain.report.pages import to_html, to_markdown
from advtrain.system.errors import InputError
from evaluated import DATASETS, labels_of

LABELS = labels_of("vanilla", "atda", departures={"atda": "batch_size 32"})


def findings(**values: float) -> pd.DataFrame:
    """What the checks measured on two seeds of each cell: 0 but for these values, of ATDA on MNIST with seed 1."""
    models = itertools.product(DATASETS, LABELS.defenses, (0, 1))
    worst = ("mnist", "atda", 1)
    rows = [(*model, c, values.get(c, 0.0) if model == worst else 0.0, 0.0, 500) for model in models for c in CHECKS]
    return pd.DataFrame(rows, columns=["dataset", "defense", "seed", "check", "value", "error", "examples"])


@pytest.mark.parametrize(
    ("check", "value", "error", "expected"),
    [
        ("margin_loss_better", 0.01, 0.0, PASS),  # at most 1 point
        ("restarts_matter", 0.005, 0.0, FAIL),  # less than 0.5 points
        ("restarts_matter", 0.005, 0.001, WARN),
        ("restarts_matter", 0.012, 0.0034, FAIL),
        ("catastrophic_overfitting", 0.22, 0.01, WARN),
        ("catastrophic_overfitting", 0.23, 0.01, FAIL),
        ("label_leaking", -0.3, 0.1, PASS),
        ("stronger_single_step", 2.0, 0.0, PASS),
        ("stronger_single_step", 2.1, 0.0, FAIL),
        ("not_deterministic", 1e-9, 0.0, FAIL),
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
    expected = {"dataset": "mnist", "defense": "atda", "seed": 1, "check": "catastrophic_overfitting", "threshold": 0.2}
    assert row == row | expected | {"value": 0.9}
    assert list(table["check"].unique()) == list(CHECKS)


def test_a_model_that_lacks_a_check_is_named() -> None:
    lacking = findings().query("dataset != 'fmnist' or defense != 'atda' or seed != 1 or check != 'noise_better'")
    with pytest.raises(InputError, match=r"fmnist/atda/1 does not have each check once: \['noise_better'\]"):
        audit_table(lacking)


def test_one_seed_that_fails_makes_the_cell_fail() -> None:
    table = audit_table(findings(label_leaking=0.1, noise_better=0.2))
    assert failed_checks(table) == {("mnist", "atda", "noise_better"), ("mnist", "atda", "label_leaking")}
    assert failures_in_words(table, LABELS) == "Noise better: ATDA on MNIST. Label leaking: ATDA on MNIST"
    assert failures_in_words(table, LABELS, [PGD]) == "Noise better: ATDA on MNIST"
    assert failures_in_words(audit_table(findings()), LABELS) == ""


def test_the_page_shows_each_check_s_worst_seed_and_reason_and_what_fails() -> None:
    audit = audit_table(findings(catastrophic_overfitting=0.9))
    wide = overview(audit, "mnist", LABELS.defenses)
    assert wide.shape == (len(CHECKS), 2)
    assert wide.loc["No catastrophic overfitting"].tolist() == ["✓ pass 0.00 points", "✗ fail 90.00 points (1 of 2 seeds)"]
    sections = page(audit, LABELS)
    html, markdown = to_html("Audit", sections), to_markdown("Audit", sections)
    for text in (html, markdown):
        assert f"{2 * 2 * 2 * len(CHECKS) - 1} pass, 0 warn, 1 fail" in text
        assert "on 500 test images" in text
        assert "ATDA with batch_size 32" in text
        assert "Catastrophic overfitting: ATDA on MNIST" in text
        assert [check for check in CHECKS.values() if check.title not in text or check.problem not in text] == []
    assert html.count('<td class="fail">✗ fail 90.00 points') == 1


def test_the_paper_s_own_figures_are_audited_as_far_as_it_printed_them() -> None:
    found = audit_of_the_paper(labels_of("fgsm_adv", "atda", "proposed"))
    rows = {(row["data set"], row["classifier"], row["check"]): row["verdict"] for row in found.to_dict("records")}
    assert rows["MNIST", "ATDA", "No label leaking"] == "~ warn", "97.90 under FGSM, 97.80 clean: it may be chance"
    assert rows["MNIST", "FGSM-Adv", "No catastrophic overfitting"] == "✗ fail", "98.65 under FGSM, 2.13 under BIM(30)"
    assert rows["Fashion-MNIST", "Proposed", "Converged in iterations"] == "✗ fail", "70.74, then 66.03"
    assert ("MNIST", "Proposed", "Converged in iterations") not in rows
    assert ("MNIST", "Proposed", "No catastrophic overfitting") not in rows
