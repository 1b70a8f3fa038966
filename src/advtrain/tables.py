"""Table I, ours beside the paper's with its intervals and the audit's marks, and the differences between classifiers."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from advtrain import paper, statistics
from advtrain.audit import failed_checks, failures_in_words
from advtrain.criteria import PGD, WEAK_ATTACKS, Check
from advtrain.errors import InputError
from advtrain.pages import Section

SECONDS = "Seconds per epoch"
RATIO = "Relative to FGSM-Adv"
TIME = "Training time"
ATTACKS = ("Original", "FGSM", "BIM(10)", "BIM(30)", "PGD", "AutoAttack")
"""The paper's columns, then two stronger attacks that it does not have."""
MARK = "†"


def table_1(
    evaluations: pd.DataFrame,
    timing: pd.DataFrame,
    audit: pd.DataFrame,
    datasets: Mapping[str, str],
    defenses: Mapping[str, str],
) -> pd.DataFrame:
    """Table I in long form: a row for each figure.

    Args:
        evaluations: the evaluation table of all cells.
        timing: the table of `timing.summarise`.
        audit: the table of `audit.audit_table`.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.

    Returns:
        Columns `defense`, `title`, `group` (a data set's title, or Training time), `column`; `mean` and `std` over seeds (NaN
        for one), `lower` and `upper` (accuracies in percent with their 95% interval; times as median and quartiles); `seeds`,
        `examples`, the attack's `iterations` and `restarts`, `paper` (NaN where it has none), and `failed`: the classifier
        fails a check of the audit that casts doubt on this figure; never at 0, than which no attack leaves less.

    Raises:
        InputError: an evaluation or a time is missing.
    """
    failed = failed_checks(audit)
    rows = []
    for defense, title in defenses.items():
        for dataset, group in datasets.items():
            printed = dict(zip(paper.COLUMNS, paper.TABLE_1.get(defense, {}).get(dataset, ()), strict=False))
            checks = failed.get((dataset, defense), [])
            for column in ATTACKS:
                cell = select(evaluations, dataset, defense, column)
                found = statistics.accuracy(cell)
                rows.append(
                    {
                        "defense": defense,
                        "title": title,
                        "group": group,
                        "column": column,
                        **found.percent(),
                        "seeds": found.seeds,
                        "examples": cell["examples"].iloc[0],
                        "iterations": cell["iterations"].iloc[0],
                        "restarts": cell["restarts"].iloc[0],
                        "paper": printed.get(column, float("nan")),
                        "failed": found.mean > 0 and any(_doubts(check, column) for check in checks),
                    }
                )
        rows.extend(_time_rows(timing, defense, title))
    return pd.DataFrame(rows)


def differences(evaluations: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> pd.DataFrame:
    """Accuracy of each classifier less that of each one before it, paired by seed, or by image where there is one seed.

    Args:
        evaluations: the evaluation table of all cells.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.

    Returns:
        Columns `dataset`, `column`, `defense`, `less`, `mean`, `std`, `lower`, `upper` (points), `seeds`.

    Raises:
        InputError: an evaluation is missing.
    """
    rows = []
    for dataset, (less, defense), column in itertools.product(datasets, itertools.combinations(defenses, 2), ATTACKS):
        found = statistics.difference(*(select(evaluations, dataset, name, column) for name in (defense, less)))
        key = {"dataset": dataset, "column": column, "defense": defense, "less": less}
        rows.append({**key, **found.percent(), "seeds": found.seeds})
    return pd.DataFrame(rows)


def page(
    table: pd.DataFrame,
    audit: pd.DataFrame,
    datasets: Mapping[str, str],
    defenses: Mapping[str, str],
    scale: str,
    device: str,
) -> list[Section]:
    """Table I as people read it: a table of text for each data set and for the time, and how to read them.

    Args:
        table: the table of `table_1`.
        audit: the table of `audit.audit_table`.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.
        scale: what the models were trained on, in words.
        device: what the time was measured on.
    """
    sections = [
        Section(group, table=text_table(table[table["group"] == group], _cell_text)) for group in table["group"].unique()
    ]
    footnote = ""
    if table["failed"].any():
        failures = failures_in_words(audit, datasets, defenses)
        footnote = f"\n\n{MARK} The audit casts doubt on the figure: it may promise too much. {failures}."
    return [*sections, Section("", caption(table, scale, device) + footnote)]


def caption(table: pd.DataFrame, scale: str, device: str) -> str:
    """The sentence under Table I: what was measured, over how much, and how to read a cell."""
    seeds = int(table["seeds"].max())
    numbers = table.dropna(subset="examples").astype({"examples": int}).groupby("examples", sort=False)["column"].unique()
    examples = "; ".join(f"{', '.join(columns)} on {n:,}" for n, columns in numbers.items())
    pgd = table[table["column"] == "PGD"].iloc[0]
    spread = (
        f"mean ± standard deviation over {seeds} seeds (95% interval, t over seeds)"
        if seeds > 1
        else "of one seed (95% interval over images, Wilson; the seed's own luck comes on top)"
    )
    return (
        f"Test accuracy in percent, {spread}, in brackets the paper's Table I. Test images: {examples}. PGD: the worst of "
        f"{pgd['restarts']:.0f} restarts of {pgd['iterations']:.0f} iterations on two losses. AutoAttack: all four attacks. "
        f"Trained at this scale: {scale}. Time: median (quartiles) over blocks of steps of all defenses in turn, on {device}; "
        "the paper's on a Tesla K20m, so compare the ratios."
    )


def differences_page(table: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]) -> list[Section]:
    """The differences as people read them: a row for each pair, a cell of text for each attack."""
    text = table.assign(
        pair=[f"{defenses[a]} less {defenses[b]}" for a, b in zip(table["defense"], table["less"], strict=True)],
        text=[f"{row.mean:+.2f} ({row.lower:+.1f} to {row.upper:+.1f})" for row in table.itertuples()],
    )
    paired = "seed" if table["seeds"].max() > 1 else "image (one seed: the seeds' own luck comes on top)"
    note = f"Points of test accuracy with 95% intervals, paired by {paired}. An interval without 0 is a difference that shows."
    sections = []
    for dataset, title in datasets.items():
        wide = text[text["dataset"] == dataset].pivot(index="pair", columns="column", values="text")
        sections.append(
            Section(title, table=wide.loc[text["pair"].unique(), list(ATTACKS)].rename_axis(index=None, columns=None))
        )
    return [Section("", note), *sections]


def select(evaluations: pd.DataFrame, dataset: str, defense: str, column: str) -> pd.DataFrame:
    """The evaluation table's rows of one figure of `ATTACKS`, one for each seed.

    Raises:
        InputError: it was not evaluated.
    """
    cell = evaluations[(evaluations["dataset"] == dataset) & (evaluations["defense"] == defense)]
    if column.startswith("BIM("):
        iterations = int(column[4:-1])
        bim = (cell["attack"] == "bim") & (cell["iterations"] == iterations)
        cell = cell[bim & (cell["iterate"] == cell["iterations"])]
    elif column == "PGD":
        cell = cell[(cell["attack"] == "pgd") & (cell["loss"] == "worst")]
    else:
        cell = cell[cell["attack"] == {"Original": "clean", "FGSM": "fgsm", "AutoAttack": "autoattack"}[column]]
    if cell.empty:
        raise InputError(f"Table I needs {column} of {dataset}/{defense}, which was not evaluated; add it to the configuration")
    return cell


def _doubts(check: Check, column: str) -> bool:
    """Whether a failure of the check casts doubt on the figures of a column; clean accuracy needs no attack."""
    trusted = {"PGD": [WEAK_ATTACKS], "AutoAttack": [WEAK_ATTACKS, PGD]}
    return column != "Original" and check.doubts not in trusted.get(column, [])


def _time_rows(timing: pd.DataFrame, defense: str, title: str) -> list[dict[str, Any]]:
    timed = timing[timing["defense"] == defense]
    if timed.empty:
        raise InputError(f"Table I needs the training time of {defense}, which was not measured")
    seconds = paper.SECONDS_PER_EPOCH.get(defense, float("nan"))
    printed = {SECONDS: ("seconds", seconds), RATIO: ("ratio", seconds / paper.SECONDS_PER_EPOCH["fgsm_adv"])}
    return [
        {
            "defense": defense,
            "title": title,
            "group": TIME,
            "column": column,
            "mean": timed[f"{name}_median"].iloc[0],
            "lower": timed[f"{name}_lower"].iloc[0],
            "upper": timed[f"{name}_upper"].iloc[0],
            "paper": figure,
            "failed": False,
        }
        for column, (name, figure) in printed.items()
    ]


def text_table(table: pd.DataFrame, cell_text: Callable[[Mapping[str, Any]], str]) -> pd.DataFrame:
    """A row for each classifier's `title`, a column for each `column`, in the table's order; a cell is the text of its row."""
    text = table.assign(text=[cell_text(row) for row in table.to_dict("records")])
    pivoted = text.pivot(index="title", columns="column", values="text")
    return pivoted.loc[table["title"].unique(), table["column"].unique()].rename_axis(index=None, columns=None)


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
