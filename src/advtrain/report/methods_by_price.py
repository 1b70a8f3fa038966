"""The methods in each setting by price: what they cost, how robust they are, and which trainings collapsed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from advtrain.report import statistics
from advtrain.report.collapses import ROBUST
from advtrain.report.columns import STRONGEST, select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, bracketed, grid
from advtrain.report.price import prices

COLUMNS = ("Original", "PGD", "AutoAttack", STRONGEST)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Defenses that are trained in the same setting."""

    title: str
    defenses: tuple[str, ...]


def methods_table(
    evaluations: pd.DataFrame,
    timing: pd.DataFrame,
    overfitting: pd.DataFrame,
    settings: Sequence[Setting],
    epochs: Mapping[str, int],
    datasets: Sequence[str],
) -> pd.DataFrame:
    """A row for each data set, setting, defense, by passes and then seconds, and `column` of `COLUMNS`.

    `setting` is its title. The figure as of `statistics.figure`; the price of the whole training as of `price.prices`. Of
    `collapses.overfitting_table`, numbers of trainings: `collapsed`, of these `recovered`, and `never_robust`; `when`, the
    epochs of the collapses, such as "5, 12". Raises InputError where an evaluation or a time is missing.
    """
    price = prices(timing, {defense: epochs[defense] for setting in settings for defense in setting.defenses})
    price = price.sort_values(["passes", "seconds"])
    counted = overfitting.assign(collapsed=overfitting["collapsed"].notna(), never_robust=overfitting["pgd"] < ROBUST)
    cells = counted.groupby(["dataset", "defense"])
    trainings = cells[["collapsed", "recovered", "never_robust"]].sum().astype(int)
    epochs_of_collapse = overfitting.groupby(["dataset", "defense"])["collapsed"]
    trainings["when"] = epochs_of_collapse.agg(lambda found: ", ".join(f"{epoch:.0f}" for epoch in sorted(found.dropna())))
    rows = []
    for dataset, setting, defense, column in itertools.product(datasets, settings, price.index, COLUMNS):
        if defense in setting.defenses:
            key = {"dataset": dataset, "setting": setting.title, "defense": defense, "column": column}
            rows.append({**key, **statistics.figure(select(evaluations, dataset, defense, column))})
    return pd.DataFrame(rows).join(price, on="defense").join(trainings, on=["dataset", "defense"])


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of a `methods_table`: for each data set and setting a row for each method, the cheapest first."""
    examples = table.drop_duplicates("column").set_index("column")["examples"]
    images = ", ".join(f"{column} on {examples[column]:,}" for column in COLUMNS)
    note = (
        "The cheapest first. Price of the whole training: passes over a training image, forward and backward, in brackets "
        "those of an epoch, and seconds. "
        f"Test accuracy in percent: {statistics.how_sure(table['seeds'])}. Test images: {images}; "
        f"{STRONGEST} is the worst case of all attacks. Collapsed: trainings whose accuracy under PGD from one start, on the "
        "training images watched after each epoch, fell below half of its highest so far and below half of that under FGSM, "
        "and when; as it does after a reset. Recovered ones did not end so. Never robust: those that never came to "
        f"{ROBUST:.0%}, because they overfitted from the start or never learnt to classify. "
        f"{labels.trained}"
    )
    sections = [Section("", note)]
    for (dataset, title), setting in itertools.product(labels.datasets.items(), table["setting"].unique()):
        rows = table[(table["dataset"] == dataset) & (table["setting"] == setting)]
        rows = rows.assign(title=rows["defense"].map(labels.defenses))
        texts = [f"{row['mean']:.2f}{bracketed(row, '.1f')}" for row in rows.to_dict("records")]
        shown = grid(rows, texts, "title", "column")
        methods = rows.drop_duplicates("title").to_dict("records")
        shown.insert(0, "Price", list(map(_price, methods)))
        shown["Collapsed"] = list(map(_collapses, methods))
        sections.append(Section(f"{title}: {setting}", table=shown))
    return sections


def _price(row: Mapping[str, Any]) -> str:
    """Such as "240 passes (3), 9,068 s"."""
    return f"{row['passes']:,g} passes ({row['passes'] / row['epochs']:g}), {row['seconds']:,.0f} s"


def _collapses(row: Mapping[str, Any]) -> str:
    """Such as "2 of 5 (epochs 5, 12), 1 recovered; 1 never robust"."""
    recovered = f", {row['recovered']} recovered" if row["recovered"] else ""
    when = f"(epoch{'s' if row['collapsed'] > 1 else ''} {row['when']})"
    collapsed = f"{row['collapsed']} of {row['seeds']} {when}{recovered}" if row["collapsed"] else ""
    never = f"{row['never_robust']} never robust" if row["never_robust"] else ""
    return "; ".join(filter(None, [collapsed, never])) or "no"
