"""Table I of the paper against ours, figure by figure: our difference from it, with the interval, and whether they agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from advtrain.report.columns import RATIO, SECONDS, TIME
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, grid
from advtrain.report.statistics import how_sure
from advtrain.report.table_one import DOUBT, MARK

AGREES, ABOVE, BELOW = "agrees", "above", "below"
COLUMNS = ["defense", "title", "group", "column", "paper", "ours", "difference", "lower", "upper", "verdict", "failed"]


def against_paper(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each figure of the paper's Table I in the table of `table_one.table_1`, but for another machine's seconds.

    Returns:
        Columns `defense`, `title`, `group`, `column` as there; `paper`, `ours`, and `difference`, ours less the paper's, from
        `lower` to `upper`; `verdict` and `failed`. Accuracies are in percent with a 95% interval: ours `agrees` where it
        contains the paper's figure, else it is `above` or `below`. Times are ratios to FGSM-Adv's, whose own is left out;
        their interval is that of the quartiles, which judges nothing, so they have no verdict.
    """
    compared = table["paper"].notna() & (table["column"] != SECONDS)
    itself = (table["column"] == RATIO) & (table["defense"] == "fgsm_adv")
    found = table[compared & ~itself].rename(columns={"mean": "ours"})
    found["difference"] = found["ours"] - found["paper"]
    found[["lower", "upper"]] = found[["lower", "upper"]].sub(found["paper"], axis=0)
    judged = pd.Series(np.select([found["lower"] > 0, found["upper"] < 0], [ABOVE, BELOW], AGREES), found.index)
    return found.assign(verdict=judged.where(found["group"] != TIME, None))[COLUMNS].reset_index(drop=True)


def page(found: pd.DataFrame, table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the comparison: how to read it, a table of text for each data set and for the time, and how many agree.

    Args:
        found: the table of `against_paper`.
        table: the table of `table_one.table_1` that it was made of.
        labels: how the classifiers were trained.
    """
    note = (
        "Test accuracy in percent: the paper's → ours, and ours less the paper's. "
        f"Ours: {how_sure(int(table['seeds'].max()))}. "
        "The paper gives one run on 10,000 images without an interval, which is taken as exact. "
        f"Ours agrees where the interval contains the paper's figure. {labels.trained} "
        "Time has no verdict: its quartiles over blocks of steps, in the interval's place, show only how the machine varies."
    )
    sections = [Section("", note)]
    for group, rows in found.groupby("group", sort=False):
        heading = f"{TIME} relative to FGSM-Adv, with quartiles" if group == TIME else group
        texts = map(_cell_text, rows.to_dict("records"))
        sections.append(Section(heading, table=grid(rows, texts, "title", "column")))
    marked = f"\n\n{DOUBT}" if found["failed"].any() else ""
    return [*sections, Section("", count(found) + marked)]


def count(found: pd.DataFrame) -> str:
    """How many accuracies agree with the paper's, and how far each classifier's are from them on average."""
    judged = found[found["verdict"].notna()]
    if judged.empty:
        return "The paper has none of these classifiers."
    of = judged["verdict"].value_counts()
    distances = judged["difference"].abs().groupby(judged["title"], sort=False).mean()
    means = ", ".join(f"{title} {distance:.2f}" for title, distance in distances.items())
    return (
        f"Of {len(judged)} accuracies ours agrees with the paper's in {of.get(AGREES, 0)}, is below in {of.get(BELOW, 0)} and "
        f"above in {of.get(ABOVE, 0)}. Mean of the absolute differences in points: {means}."
    )


def _cell_text(row: Mapping[str, Any]) -> str:
    """Such as "94.21 → 70.50, -23.71 (-26.6 to -21.0), below †": the paper's, ours, their difference, the audit's mark."""
    digits = 2 if row["group"] == TIME else 1
    interval = f"({row['lower']:+.{digits}f} to {row['upper']:+.{digits}f})"
    text = f"{row['paper']:.2f} → {row['ours']:.2f}, {row['difference']:+.2f} {interval}"
    verdict = f", {row['verdict']}" if pd.notna(row["verdict"]) else ""
    return text + verdict + (f" {MARK}" if row["failed"] else "")
