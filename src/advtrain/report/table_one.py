"""Table I: our figures and the paper's, with intervals and the audit's marks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from advtrain.audit.criteria import CHECKS, EVERY_ATTACK, PGD
from advtrain.report import paper, statistics
from advtrain.report.audit_page import failed_checks, failures_in_words
from advtrain.report.columns import ATTACKS, PASSES, RATIO, SECONDS, STRONGEST, TIME, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid
from advtrain.system.errors import InputError

MARK, LOWEST, NONE = "†", "*", "n/a"
DOUBT = f"{MARK} The audit casts doubt on the figure: it may promise too much."
WEAK = "FGSM and BIM start once, at the clean image: weak attacks, which promise too much."
MARKED = {PGD: ("PGD",), EVERY_ATTACK: ATTACKS[1:]}
"""The columns that a failed check marks, by what it casts doubt on. Clean accuracy needs no attack, FGSM and BIM promise too
much anyway, and neither AutoAttack nor the worst case of all rests on PGD."""


def table_1(evaluations: pd.DataFrame, timing: pd.DataFrame, audit: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Table I in long form, a row for each figure: of all evaluations, of time_epochs.py and of `audit_page.audit_table`.

    `group` is a data set's title, or Training time, whose rows have median and quartiles, or a count without an interval.
    A classifier from elsewhere has no time. `paper` is NaN where it has none. `failed`: the classifier fails a check of the
    audit that marks this figure, by `MARKED`;
    never for an accuracy of 0, which promises nothing. `lowest`: of a row's figures under an attack. `chance` is the share of
    the commonest label, in percent. `departs`: where the classifier's training departs from the common one. Raises InputError
    where an evaluation or a time is missing.
    """
    failed = failed_checks(audit)
    rows = []
    for defense, title in labels.defenses.items():
        key = {"defense": defense, "title": title}
        for dataset, group in labels.datasets.items():
            if defense not in labels.on(dataset):
                continue
            papers = paper.accuracies(defense, dataset)
            checks = [check for name, check in CHECKS.items() if (dataset, defense, name) in failed]
            for column in ATTACKS:
                cell = select(evaluations, dataset, defense, column)
                figure = statistics.figure(cell)
                rows.append(
                    {
                        **key,
                        "group": group,
                        "column": column,
                        **figure,
                        **cell[["iterations", "restarts"]].iloc[0],
                        "paper": papers.get(column, float("nan")),
                        "chance": 100 * cell["chance"].iloc[0],
                        "failed": figure["mean"] > 0 and any(column in MARKED.get(check.doubts, ()) for check in checks),
                    }
                )
        if defense in labels.external:
            continue
        times = timing[timing["defense"] == defense]
        if times.empty:
            raise InputError(f"Table I needs the training time of {defense}, which was not measured")
        ours = times.iloc[0]
        # The paper's, where a data set of the paper's is there to compare with.
        seconds = float("nan") if labels.datasets.keys().isdisjoint(paper.DATASETS) else paper.seconds_per_epoch(defense)
        relative = seconds / paper.SECONDS_PER_EPOCH["fgsm_adv"]
        for column, name, printed in ((SECONDS, "seconds", seconds), (RATIO, "ratio", relative)):
            quartiles = {"mean": ours[f"{name}_median"], "lower": ours[f"{name}_lower"], "upper": ours[f"{name}_upper"]}
            rows.append({**key, "group": TIME, "column": column, **quartiles, "paper": printed, "failed": False})
        counted = {"mean": ours["passes"], "lower": float("nan"), "upper": float("nan"), "paper": float("nan")}
        rows.append({**key, "group": TIME, "column": PASSES, **counted, "failed": False})
    table = pd.DataFrame(rows)
    attacked = table["mean"].where(table["column"].isin(ATTACKS[1:]))
    table["lowest"] = attacked == attacked.groupby([table["defense"], table["group"]]).transform("min")
    return table.assign(departs=[labels.departures.get(defense, "") for defense in table["defense"]])


def page(table: pd.DataFrame, audit: pd.DataFrame, labels: Labels, device: str) -> list[Section]:
    """The page of Table I: a table of text for each data set and for the time, measured on `device`, and how to read them."""
    sections = []
    for group, rows in table.groupby("group", sort=False):
        texts = map(_cell_text, rows.to_dict("records"))
        sections.append(Section(group, table=grid(rows, texts, "title", "column")))
    marked = f"\n\n{DOUBT} {failures_in_words(audit, labels, tuple(MARKED))}." if table["failed"].any() else ""
    return [*sections, Section("", caption(table, labels, device) + marked)]


def headline(table: pd.DataFrame, labels: Labels, epochs: Mapping[str, int]) -> list[Section]:
    """A row for each data set and classifier: its price, and what matters most of its robustness, ± deviation over seeds.

    The price is an epoch's time relative to FGSM-Adv's, and in brackets the passes of the whole training of `epochs`, by
    classifier; the passes alone where FGSM-Adv was not timed.
    """
    figures = table.set_index(["title", "group", "column"])[["mean", "std", "paper"]]
    price = figures["mean"].xs((TIME, RATIO), level=("group", "column"))
    passes = {
        labels.defenses[row["defense"]]: f"{row['mean'] * epochs[row['defense']]:,g} passes"
        for row in table[table["column"] == PASSES].to_dict("records")
    }
    rows = []
    for dataset, group in labels.datasets.items():
        for title in labels.on(dataset).values():
            papers = _number(figures["paper"][(title, group, "BIM(30)")])
            clean, bim, pgd, auto = (
                _spread(figures.loc[(title, group, column)]) for column in ("Original", "BIM(30)", "PGD", "AutoAttack")
            )
            paid = passes.get(title, NONE) if pd.isna(price.get(title)) else f"{price[title]:.2f} ({passes[title]})"
            rows.append((group, title, paid, clean, f"{papers} → {bim}", pgd, auto))
    columns = ["Data set", "Classifier", "Price", "Clean", "BIM(30), paper → ours", "PGD", "AutoAttack"]
    return [Section("", table=pd.DataFrame(rows, columns=columns), index=False)]


def caption(table: pd.DataFrame, labels: Labels, device: str) -> str:
    """The sentence under Table I: what was measured, over how much, and how to read a cell."""
    numbers = table.dropna(subset="examples").astype({"examples": int}).groupby("examples", sort=False)["column"].unique()
    examples = "; ".join(f"{', '.join(columns)} on {n:,}" for n, columns in numbers.items())
    pgd = table[table["column"] == "PGD"].iloc[0]
    seeds = int(table["seeds"].max())
    spread = f"{', ± standard deviation' if seeds > 1 else ''}: {statistics.how_sure(table['seeds'])}"
    return (
        f"Test accuracy in percent{spread}; in brackets the paper's Table I. Test images: {examples}. PGD: the worst of "
        f"{pgd['restarts']:.0f} restarts of {pgd['iterations']:.0f} iterations on two losses. AutoAttack: all four attacks, "
        f"APGD-T from four classes on. {STRONGEST}: the worst case of all attacks, those of the audit and other classifiers' "
        "adversarial examples included. "
        f"{LOWEST} The lowest of its row; on more images that may be another than {STRONGEST}. {WEAK} {labels.trained} "
        f"Time: median (quartiles) over blocks of steps of all defenses in turn, on {device}; "
        "the paper's on a Tesla K20m, so compare the ratios."
    )


def _spread(figure: Mapping[str, Any]) -> str:
    """Such as "94.20 ± 0.31"; without the spread where there is none."""
    return _number(figure["mean"]) + ("" if pd.isna(figure["std"]) else f" ± {figure['std']:.2f}")


def _number(figure: float) -> str:
    """As tables show it: n/a where there is none, such as a price without FGSM-Adv."""
    return NONE if pd.isna(figure) else f"{figure:.2f}"


def _cell_text(row: Mapping[str, Any]) -> str:
    """Such as "94.20* ± 0.31 (93.8 to 94.6) [94.21] †": ours, the row's lowest, with spread, interval, the paper's, doubt."""
    if row["column"] == PASSES:
        return f"{row['mean']:g}"
    digits = 2 if row["group"] == TIME else 1
    parts = [f"{_number(row['mean'])}{LOWEST if row['lowest'] else ''}"]
    if pd.notna(row["std"]):
        parts.append(f"± {row['std']:.2f}")
    parts[-1] += bracketed(row, f".{digits}f")
    if pd.notna(row["paper"]):
        parts.append(f"[{row['paper']:.2f}]")
    if row["failed"]:
        parts.append(MARK)
    return " ".join(parts)
