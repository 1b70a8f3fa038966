"""The audit's table and page: is a model robust, or does its evaluation only look so?"""

import math
from collections.abc import Mapping

import pandas as pd

from advtrain.audit.criteria import CHECKS, FAIL, PASS, WARN, Check
from advtrain.report import paper
from advtrain.report.labels import Labels
from advtrain.report.pages import FAIL_SIGN, PASS_SIGN, WARN_SIGN, Section
from advtrain.system.errors import InputError

SIGNS = {PASS: PASS_SIGN, WARN: WARN_SIGN, FAIL: FAIL_SIGN}
SEVERITY = [PASS, WARN, FAIL]
PAPER_EXAMPLES = 10_000
"""The images in both test sets; the paper names no subset."""


def audit_table(findings: pd.DataFrame) -> pd.DataFrame:
    """The audit: a row for each model and check.

    Args:
        findings: `dataset`, `defense`, `seed`, `check`, `value`, `error`, `examples`: of each model and check.

    Returns:
        The same with `threshold`, `unit`, `verdict` and `why`, in the order of `CHECKS`.

    Raises:
        InputError: a model lacks a check, or has one twice.
    """
    models = findings.groupby(["dataset", "defense", "seed"], sort=False)["check"].apply(sorted)
    for model, checks in models.items():
        if checks != sorted(CHECKS):
            wrong = sorted(set(CHECKS).symmetric_difference(checks)) or "a check twice"
            raise InputError(f"the audit of {'/'.join(map(str, model))} does not have each check once: {wrong}")
    chosen = [CHECKS[name] for name in findings["check"]]
    table = findings.assign(
        threshold=[check.threshold for check in chosen],
        unit=[check.unit for check in chosen],
        verdict=[check.verdict(v, e) for check, v, e in zip(chosen, findings["value"], findings["error"], strict=True)],
        why=[check.why for check in chosen],
    )
    return table.sort_values("check", key=lambda names: names.map(list(CHECKS).index), kind="stable").reset_index(drop=True)


def failed_checks(audit: pd.DataFrame) -> dict[tuple[str, str], list[Check]]:
    """The checks that some seed of a cell fails, by data set and defense; cells that pass are left out."""
    failed = audit[audit["verdict"] == FAIL]
    return {
        cell: [check for name, check in CHECKS.items() if name in set(rows["check"])]
        for cell, rows in failed.groupby(["dataset", "defense"], sort=False)
    }


def failures_in_words(audit: pd.DataFrame, labels: Labels) -> str:
    """Each problem that the audit found, and the classifiers that have it: "Restarts matter: A, B on MNIST; C on ..."."""
    failed = failed_checks(audit)
    sentences = []
    for check in CHECKS.values():
        where = [
            f"{', '.join(titles)} on {group}"
            for dataset, group in labels.datasets.items()
            if (titles := [title for defense, title in labels.defenses.items() if check in failed.get((dataset, defense), [])])
        ]
        if where:
            sentences.append(f"{check.problem.capitalize()}: {'; '.join(where)}")
    return ". ".join(sentences)


def overview(audit: pd.DataFrame, dataset: str, defenses: Mapping[str, str]) -> pd.DataFrame:
    """Verdict and value of each check (rows) on each classifier of a data set (columns): the worst of all seeds, as text.

    Args:
        audit: the table of `audit_table`.
        dataset: its name.
        defenses: title of each defense, by name, in order.
    """
    rows = audit[audit["dataset"] == dataset]

    def cell(check: str, defense: str) -> str:
        found = rows[(rows["check"] == check) & (rows["defense"] == defense)]
        worst = max(found["verdict"], key=SEVERITY.index)
        shown = found.loc[found["verdict"] == worst, "value"].max()
        of_seeds = f" ({(found['verdict'] == worst).sum()} of {len(found)} seeds)" if len(found) > 1 and worst != PASS else ""
        return f"{SIGNS[worst]} {worst} {CHECKS[check].text(shown)}{of_seeds}"

    columns = {title: [cell(check, defense) for check in CHECKS] for defense, title in defenses.items()}
    return pd.DataFrame(columns, index=[check.title for check in CHECKS.values()])


def criteria_table() -> pd.DataFrame:
    """Each check with what passes and why it matters, as text."""
    index = [check.title for check in CHECKS.values()]
    columns = {
        "passes if": [check.rule for check in CHECKS.values()],
        "why": [check.why for check in CHECKS.values()],
        "else": [check.problem for check in CHECKS.values()],
    }
    return pd.DataFrame(columns, index=index)


def audit_of_the_paper(labels: Labels) -> pd.DataFrame:
    """The checks that the paper's own Table I allows, on its printed figures; a row for each that does not pass.

    BIM(30) is used in place of PGD and of doubled iterations: the paper has no stronger attack.

    Returns:
        `data set`, `classifier`, `check`, `printed`, `verdict`, as text.
    """
    rows = []
    for defense, cells in paper.TABLE_1.items():
        for dataset, figures in cells.items():
            for name, higher, lower in (
                ("label_leaking", "FGSM", "Original"),
                ("catastrophic_overfitting", "FGSM", "BIM(30)"),
                ("iterations_not_enough", "BIM(10)", "BIM(30)"),
            ):
                check, printed = CHECKS[name], [figures[paper.COLUMNS.index(column)] for column in (higher, lower)]
                verdict = check.verdict(*_difference(*printed, either_side=name == "iterations_not_enough"))
                if verdict != PASS and dataset in labels.datasets and defense in labels.defenses:
                    figure = f"{higher} {printed[0]:.2f}, {lower} {printed[1]:.2f}"
                    rows.append(
                        (labels.datasets[dataset], labels.defenses[defense], check.title, figure, f"{SIGNS[verdict]} {verdict}")
                    )
    return pd.DataFrame(rows, columns=["data set", "classifier", "check", "printed", "verdict"])


def _difference(higher: float, lower: float, *, either_side: bool) -> tuple[float, float]:
    """Difference of two accuracies in percent, as a fraction, and its standard error as if they were of other images."""
    shares = [higher / 100, lower / 100]
    error = math.sqrt(sum(share * (1 - share) for share in shares) / PAPER_EXAMPLES)
    difference = round(shares[0] - shares[1], 6)
    return (abs(difference) if either_side else difference), error


def page(audit: pd.DataFrame, labels: Labels) -> list[Section]:
    """The audit's page: verdicts, reasons, and what the paper's own figures say.

    Args:
        audit: the table of `audit_table`.
        labels: titles of the data sets and defenses, in order, and how they were trained.
    """
    fewest, most = (f"{audit['examples'].agg(which):,}" for which in ("min", "max"))
    images = most if fewest == most else f"{fewest} to {most}"
    counts = audit["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in SEVERITY)
    return [
        Section(
            "",
            f"Is a model robust, or does its evaluation only look so? {len(audit)} checks on {images} test images: {summary}. "
            f"{labels.trained} Values are the worst over seeds; a point is one percent of the images. "
            "Warn: beyond the threshold, but by no more than two standard errors.",
        ),
        Section("Models that fail", failures_in_words(audit, labels) or "None."),
        *(Section(title, table=overview(audit, dataset, labels.defenses)) for dataset, title in labels.datasets.items()),
        Section("What passes, and why it matters", table=criteria_table()),
        Section(
            "The paper's own figures",
            "The checks that the paper's Table I allows, on its printed figures; what passes is not listed. BIM(30) is "
            "used in place of PGD and of more iterations: the paper has no stronger attack.",
            audit_of_the_paper(labels),
            index=False,
        ),
    ]
