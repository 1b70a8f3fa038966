"""Table I: our figures and the paper's, with intervals and the audit's marks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from advtrain.audit.criteria import PGD, WEAK_ATTACKS, Check
from advtrain.report import paper, statistics
from advtrain.report.audit_page import failed_checks, failures_in_words
from advtrain.report.columns import ATTACKS, RATIO, SECONDS, TIME, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, grid
from advtrain.system.errors import InputError

MARK = "†"
DOUBT = f"{MARK} The audit casts doubt on the figure: it may promise too much."


def table_1(evaluations: pd.DataFrame, timing: pd.DataFrame, audit: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Table I in long form: a row for each figure.

    Args:
        evaluations: the evaluation table of all cells.
        timing: the table of `timing.summarise`.
        audit: the table of `audit_page.audit_table`.
        labels: titles of the data sets and defenses, in order.

    Returns:
        Columns `defense`, `title`, `group` (a data set's title, or Training time), `column`; `mean` and `std` over seeds (NaN
        for one), `lower` and `upper` (accuracies in percent with their 95% interval; times as median and quartiles); `seeds`,
        `examples`, the attack's `iterations` and `restarts`, `paper` (NaN where it has none); `failed`: the classifier
        fails a check of the audit that casts doubt on this figure; never for an accuracy of 0, which promises nothing; and
        `departs`: where the classifier's training departs from the common one.

    Raises:
        InputError: an evaluation or a time is missing.
    """
    failed = failed_checks(audit)
    rows = []
    for defense, title in labels.defenses.items():
        for dataset, group in labels.datasets.items():
            printed = dict(zip(paper.COLUMNS, paper.TABLE_1.get(defense, {}).get(dataset, ()), strict=False))
            checks = failed.get((dataset, defense), [])
            for column in ATTACKS:
                cell = select(evaluations, dataset, defense, column)
                figure = statistics.figure(cell)
                rows.append(
                    {
                        "defense": defense,
                        "title": title,
                        "group": group,
                        "column": column,
                        **figure,
                        **cell[["iterations", "restarts"]].iloc[0],
                        "paper": printed.get(column, float("nan")),
                        "failed": figure["mean"] > 0 and any(_doubts(check, column) for check in checks),
                    }
                )
        rows.extend(_time_rows(timing, defense, title))
    table = pd.DataFrame(rows)
    return table.assign(departs=[labels.departures.get(defense, "") for defense in table["defense"]])


def page(table: pd.DataFrame, audit: pd.DataFrame, labels: Labels, device: str) -> list[Section]:
    """The page of Table I: a table of text for each data set and for the time, and how to read them.

    Args:
        table: the table of `table_1`.
        audit: the table of `audit_page.audit_table`.
        labels: titles of the data sets and defenses, in order, and how they were trained.
        device: what the time was measured on.
    """
    sections = []
    for group, rows in table.groupby("group", sort=False):
        texts = map(_cell_text, rows.to_dict("records"))
        sections.append(Section(group, table=grid(rows, texts, "title", "column")))
    marked = f"\n\n{DOUBT} {failures_in_words(audit, labels)}." if table["failed"].any() else ""
    return [*sections, Section("", caption(table, labels, device) + marked)]


def headline(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """A row for each classifier: its price, and what matters most of its robustness.

    Arguments as of `page`.
    """
    figures = table.set_index(["title", "group", "column"])[["mean", "paper"]]
    columns = ["Classifier", "Price"]
    rows = {title: [title, f"{figures.loc[(title, TIME, RATIO), 'mean']:.2f}"] for title in labels.defenses.values()}
    for group in labels.datasets.values():
        columns += [f"{group}: clean", f"{group}: BIM(30), paper → ours", f"{group}: AutoAttack"]
        for title, row in rows.items():
            clean, bim, auto = (figures.loc[(title, group, column)] for column in ("Original", "BIM(30)", "AutoAttack"))
            printed = "n/a" if pd.isna(bim["paper"]) else f"{bim['paper']:.2f}"
            row += [f"{clean['mean']:.2f}", f"{printed} → {bim['mean']:.2f}", f"{auto['mean']:.2f}"]
    return [Section("", table=pd.DataFrame(rows.values(), columns=columns), index=False)]


def caption(table: pd.DataFrame, labels: Labels, device: str) -> str:
    """The sentence under Table I: what was measured, over how much, and how to read a cell."""
    numbers = table.dropna(subset="examples").astype({"examples": int}).groupby("examples", sort=False)["column"].unique()
    examples = "; ".join(f"{', '.join(columns)} on {n:,}" for n, columns in numbers.items())
    pgd = table[table["column"] == "PGD"].iloc[0]
    seeds = int(table["seeds"].max())
    spread = f"{', ± standard deviation' if seeds > 1 else ''}: {statistics.how_sure(seeds)}"
    return (
        f"Test accuracy in percent{spread}; in brackets the paper's Table I. Test images: {examples}. PGD: the worst of "
        f"{pgd['restarts']:.0f} restarts of {pgd['iterations']:.0f} iterations on two losses. AutoAttack: all four attacks. "
        f"{labels.trained} Time: median (quartiles) over blocks of steps of all defenses in turn, on {device}; "
        "the paper's on a Tesla K20m, so compare the ratios."
    )


def _doubts(check: Check, column: str) -> bool:
    """Whether a failure of the check casts doubt on the figures of a column; clean accuracy needs no attack."""
    trusted = {"PGD": [WEAK_ATTACKS], "AutoAttack": [WEAK_ATTACKS, PGD]}
    return column != "Original" and check.doubts not in trusted.get(column, [])


def _time_rows(timing: pd.DataFrame, defense: str, title: str) -> list[dict[str, Any]]:
    timed = timing[timing["defense"] == defense]
    if timed.empty:
        raise InputError(f"Table I needs the training time of {defense}, which was not measured")
    (times,) = timed.to_dict("records")
    seconds = paper.SECONDS_PER_EPOCH.get(defense, float("nan"))
    printed = {SECONDS: ("seconds", seconds), RATIO: ("ratio", seconds / paper.SECONDS_PER_EPOCH["fgsm_adv"])}
    return [
        {
            "defense": defense,
            "title": title,
            "group": TIME,
            "column": column,
            **{to: times[f"{name}_{of}"] for to, of in (("mean", "median"), ("lower", "lower"), ("upper", "upper"))},
            "paper": figure,
            "failed": False,
        }
        for column, (name, figure) in printed.items()
    ]


def _cell_text(row: Mapping[str, Any]) -> str:
    """Such as "94.20 ± 0.31 (93.8 to 94.6) [94.21] †": ours, over seeds, its interval, the paper's, the audit's mark."""
    digits = 2 if row["group"] == TIME else 1
    parts = [f"{row['mean']:.2f}"]
    if pd.notna(row["std"]):
        parts.append(f"± {row['std']:.2f}")
    parts.append(f"({row['lower']:.{digits}f} to {row['upper']:.{digits}f})")
    if pd.notna(row["paper"]):
        parts.append(f"[{row['paper']:.2f}]")
    return " ".join([*parts, *([MARK] if row["failed"] else [])])
