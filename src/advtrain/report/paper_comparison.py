"""Table I of the paper against ours, figure by figure: whether the paper's one run could be one more of ours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from advtrain.report.columns import RATIO, SECONDS, TIME
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid
from advtrain.report.statistics import LEVEL, TEST_IMAGES, one_more_run
from advtrain.report.table_one import DOUBT, MARK, WEAK

AGREES, ABOVE, BELOW = "agrees", "above", "below"
ONE_SEED, PART_OF_THE_IMAGES = "one seed", "part of the images"
"""Why there is no verdict."""
COLUMNS = ["defense", "title", "group", "column", "paper", "ours", "difference", "lower", "upper", "verdict"]
COLUMNS += ["seeds", "examples", "failed"]


def against_paper(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each figure of the paper's Table I in the table of `table_one.table_1`, but for another machine's seconds.

    Returns:
        Columns `defense`, `title`, `group`, `column`, `seeds`, `examples`, `failed` as there; `paper`; `ours`; `difference`,
        ours less the paper's; `lower`, `upper`, `verdict`. Accuracies are in percent, from `lower` to `upper` is the 95%
        prediction interval of one more run of ours, NaN for one seed. Ours `agrees` where that contains the paper's figure,
        which is of one run, else it is `above` or `below`; None where that cannot be told, with one seed or on a part of the
        test images. Times are ratios to FGSM-Adv's, whose own is left out, with quartiles, which judge nothing.
    """
    compared = table["paper"].notna() & (table["column"] != SECONDS)
    itself = (table["column"] == RATIO) & (table["defense"] == "fgsm_adv")
    found = table[compared & ~itself].rename(columns={"mean": "ours"})
    found["difference"] = found["ours"] - found["paper"]
    accuracies = found["group"] != TIME
    half = one_more_run(found["std"], found["seeds"])
    found["lower"] = found["lower"].where(~accuracies, (found["ours"] - half).clip(lower=0))
    found["upper"] = found["upper"].where(~accuracies, (found["ours"] + half).clip(upper=100))
    can_tell = accuracies & half.notna() & (found["examples"] >= TEST_IMAGES)
    judged = np.select([found["paper"] < found["lower"], found["paper"] > found["upper"]], [ABOVE, BELOW], AGREES)
    found["verdict"] = pd.Series(judged, found.index).where(can_tell, None)
    return found[COLUMNS].reset_index(drop=True)


def page(found: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the comparison: how to read it, a table of text for each data set and for the time, and how many agree.

    Args:
        found: the table of `against_paper`.
        labels: how the classifiers were trained.
    """
    if found["examples"].isna().all():
        return [Section("", f"The paper has no figures of these classifiers on {' or '.join(labels.datasets.values())}.")]
    images = ", ".join(f"{n:,.0f}" for n in sorted(found["examples"].dropna().unique()))
    note = (
        f"Test accuracy in percent on {images} images: the paper's → ours, and ours less the paper's. Ours: mean over seeds, "
        "with the 95% prediction interval of one more run of ours, mean ± t(n-1) s √(1 + 1/n) of n seeds. The paper gives one "
        "run: ours agrees where that could be one more run of ours, within this interval. One seed cannot tell, nor can a part "
        f"of the {TEST_IMAGES:,} test images. {WEAK} {labels.trained} Time has no verdict: its quartiles over blocks of steps, "
        "in the interval's place, show only how the machine varies."
    )
    sections = [Section("", note)]
    for group, rows in found.groupby("group", sort=False):
        heading = f"{TIME} relative to FGSM-Adv, with quartiles" if group == TIME else group
        texts = map(_cell_text, rows.to_dict("records"))
        sections.append(Section(heading, table=grid(rows, texts, "title", "column")))
    marked = f"\n\n{DOUBT}" if found["failed"].any() else ""
    return [*sections, Section("", count(found) + marked)]


def count(found: pd.DataFrame) -> str:
    """How many of the accuracies that can be judged agree with the paper's, and how far each classifier's are on average."""
    accuracies = found[found["group"] != TIME]
    of = accuracies["verdict"].value_counts()
    judged = "Which accuracies agree with the paper's cannot be told."
    if n := of.sum():
        judged = (
            f"Of {n} accuracies that can be judged ours agrees with the paper's in {of.get(AGREES, 0)}, is below in "
            f"{of.get(BELOW, 0)} and above in {of.get(ABOVE, 0)}; if the paper's runs were like ours, about "
            f"{n * (1 - LEVEL):.1f} would not agree, by chance."
        )
    distances = accuracies["difference"].abs().groupby(accuracies["title"], sort=False).mean()
    means = ", ".join(f"{title} {distance:.2f}" for title, distance in distances.items())
    return f"{judged} Mean of the absolute differences in points: {means}."


def _cell_text(row: Mapping[str, Any]) -> str:
    """Such as "94.21 → 70.50 (68.1 to 72.9), -23.71, below †": the paper's, ours, their difference, the audit's mark."""
    time = row["group"] == TIME
    text = f"{row['paper']:.2f} → {row['ours']:.2f}{bracketed(row, '.2f' if time else '.1f')}, {row['difference']:+.2f}"
    open_because = ONE_SEED if row["seeds"] == 1 else PART_OF_THE_IMAGES
    verdict = row["verdict"] if pd.notna(row["verdict"]) else open_because
    return text + ("" if time else f", {verdict}") + (f" {MARK}" if row["failed"] else "")
