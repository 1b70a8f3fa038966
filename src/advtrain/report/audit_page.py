"""The audit's table and page: is a model robust, or does its evaluation only look so?"""

import itertools
import math
from collections.abc import Collection, Mapping

import pandas as pd

from advtrain.audit.criteria import CHECKS, DOUBTED, FAIL, PASS, WARN
from advtrain.report import paper
from advtrain.report.labels import Labels
from advtrain.report.pages import FAIL_SIGN, PASS_SIGN, WARN_SIGN, Section
from advtrain.system.errors import InputError

SIGNS = {PASS: PASS_SIGN, WARN: WARN_SIGN, FAIL: FAIL_SIGN}
"""Of each verdict, the worst last."""
PAPERS_CHECKS = {
    "label_leaking": ("FGSM", "Original"),
    "catastrophic_overfitting": ("FGSM", "BIM(30)"),
    "iterations_not_enough": ("BIM(10)", "BIM(30)"),
}
"""The checks that the paper's own Table I allows, each on the difference of two columns; it has no attack beyond BIM(30)."""
PAPER_EXAMPLES = 10_000
"""The images in both test sets; the paper names no subset."""


def audit_table(findings: pd.DataFrame) -> pd.DataFrame:
    """The findings, a row for each model and check, with `threshold`, `unit`, `verdict`, `why`, in the order of `CHECKS`.

    Raises InputError where a model lacks a check, or has one twice.
    """
    models = findings.groupby(["dataset", "defense", "seed"], sort=False)["check"].apply(sorted)
    for model, checks in models.items():
        if checks != sorted(CHECKS):
            wrong = sorted(set(CHECKS).symmetric_difference(checks)) or "a check twice"
            raise InputError(f"the audit of {'/'.join(map(str, model))} does not have each check once: {wrong}")
    table = findings.assign(
        threshold=[CHECKS[name].threshold for name in findings["check"]],
        unit=[CHECKS[name].unit for name in findings["check"]],
        verdict=[CHECKS[row.check].verdict(row.value, row.error) for row in findings.itertuples()],
        why=[CHECKS[name].why for name in findings["check"]],
    )
    return table.sort_values("check", key=lambda names: names.map(list(CHECKS).index), kind="stable").reset_index(drop=True)


def failed_checks(audit: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Data set, defense and name of each check that some seed fails."""
    failed = audit[audit["verdict"] == FAIL]
    return set(zip(failed["dataset"], failed["defense"], failed["check"], strict=True))


def failures_in_words(audit: pd.DataFrame, labels: Labels, doubted: Collection[str] = DOUBTED) -> str:
    """Each problem that casts doubt on some of `DOUBTED`, and who has it: "Restarts matter: A, B on MNIST; C on ..."."""
    failed = failed_checks(audit)
    sentences = []
    for check in (check for check in CHECKS.values() if check.doubts in doubted):
        where = []
        for dataset, group in labels.datasets.items():
            titles = [title for defense, title in labels.defenses.items() if (dataset, defense, check.name) in failed]
            if titles:
                where.append(f"{', '.join(titles)} on {group}")
        if where:
            sentences.append(f"{check.problem.capitalize()}: {'; '.join(where)}")
    return ". ".join(sentences)


def overview(audit: pd.DataFrame, dataset: str, defenses: Mapping[str, str]) -> pd.DataFrame:
    """Verdict and value of each check (rows) on each classifier of a data set (columns): the worst of all seeds, as text."""

    def cell(check: str, defense: str) -> str:
        seeds = audit[(audit["dataset"] == dataset) & (audit["check"] == check) & (audit["defense"] == defense)]
        worst = max(seeds["verdict"], key=list(SIGNS).index)
        values = seeds.loc[seeds["verdict"] == worst, "value"]
        of_seeds = f" ({len(values)} of {len(seeds)} seeds)" if len(seeds) > 1 and worst != PASS else ""
        return f"{SIGNS[worst]} {worst} {CHECKS[check].text(values.max())}{of_seeds}"

    columns = {title: [cell(check, defense) for check in CHECKS] for defense, title in defenses.items()}
    return pd.DataFrame(columns, index=[check.title for check in CHECKS.values()])


def audit_of_the_paper(labels: Labels) -> pd.DataFrame:
    """`PAPERS_CHECKS` on the paper's printed figures, as if each were of other images: a row of text for each not passed."""
    rows = []
    for (defense, title), (dataset, group) in itertools.product(labels.defenses.items(), labels.datasets.items()):
        accuracies = paper.accuracies(defense, dataset)
        for name, (higher, lower) in PAPERS_CHECKS.items() if accuracies else ():
            shares = [accuracies[higher] / 100, accuracies[lower] / 100]
            difference = round(shares[0] - shares[1], 6)
            error = math.sqrt(sum(share * (1 - share) for share in shares) / PAPER_EXAMPLES)
            verdict = CHECKS[name].verdict(abs(difference) if name == "iterations_not_enough" else difference, error)
            if verdict != PASS:
                printed = f"{higher} {accuracies[higher]:.2f}, {lower} {accuracies[lower]:.2f}"
                rows.append((group, title, CHECKS[name].title, printed, f"{SIGNS[verdict]} {verdict}"))
    return pd.DataFrame(rows, columns=["data set", "classifier", "check", "printed", "verdict"])


def page(audit: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of an `audit_table`: verdicts, reasons, and what the paper's own figures say."""
    fewest, most = (f"{images:,}" for images in (audit["examples"].min(), audit["examples"].max()))
    images = most if fewest == most else f"{fewest} to {most}"
    summary = ", ".join(f"{(audit['verdict'] == verdict).sum()} {verdict}" for verdict in SIGNS)
    criteria = {check.title: (check.rule, check.why, check.problem, check.doubts) for check in CHECKS.values()}
    return [
        Section(
            "",
            f"Is a model robust, or does its evaluation only look so? {len(audit)} checks on {images} test images: {summary}. "
            f"{labels.trained} Values are the worst over seeds; a point is one percent of the images. "
            "Warn: beyond the threshold, but by no more than two standard errors.",
        ),
        Section("Models that fail", failures_in_words(audit, labels) or "None."),
        *(Section(title, table=overview(audit, dataset, labels.on(dataset))) for dataset, title in labels.datasets.items()),
        Section(
            "What passes, and why it matters",
            table=pd.DataFrame.from_dict(criteria, orient="index", columns=["passes if", "why", "else", "casts doubt on"]),
        ),
        Section(
            "The paper's own figures",
            "The checks that the paper's Table I allows, on its printed figures; what passes is not listed. BIM(30) is "
            "used in place of PGD and of more iterations: the paper has no stronger attack.",
            audit_of_the_paper(labels),
            index=False,
        ),
    ]
