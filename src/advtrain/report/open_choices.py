"""Choices that the paper leaves open, each tried alone: which of them brings our figures nearest to the paper's Table I, if it
has any of the data set.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from advtrain.report import paper
from advtrain.report.columns import select
from advtrain.report.labels import Labels
from advtrain.report.pages import Section
from advtrain.report.statistics import figure

COLUMNS = (*paper.COLUMNS, "PGD")


def variants_table(
    evaluations: pd.DataFrame, classifiers: Mapping[str, Mapping[str, str]], datasets: Sequence[str], fixed_step: str
) -> pd.DataFrame:
    """Our figures under each choice, and the paper's: a row for each data set, defense, choice and column of `COLUMNS`.

    Args:
        evaluations: the evaluation table of all classifiers.
        classifiers: for each defense the title of each choice, by the name of the classifier that is trained so; that of the
            defense itself first.
        datasets: names of the data sets, in order.
        fixed_step: title of one more choice: the defense as it is, attacked by BIM of a fixed step, if a BIM of Table I was so.

    Returns:
        Columns `dataset`, `defense`, `choice`, `column`, `mean`, `std`, `lower`, `upper` (percent, 95% interval as of
        `statistics.accuracy`), `seeds`, `examples`, `paper`, `difference` (ours less the paper's), NaN where it has none.

    Raises:
        InputError: an evaluation is missing.
    """
    stepped = evaluations["attack"] == "bim_fixed_step"
    replaced = (evaluations["attack"] == "bim") & evaluations["iterations"].isin(evaluations.loc[stepped, "iterations"])
    # BIM(N) of a fixed step stands in the place of the paper's, wherever N has been evaluated so.
    with_fixed_step = evaluations[~replaced].replace({"attack": {"bim_fixed_step": "bim"}})
    rows = []
    for dataset, (defense, titles) in product(datasets, classifiers.items()):
        tried = [(title, evaluations, classifier) for classifier, title in titles.items()]
        if evaluations.loc[stepped, "iterations"].isin(paper.TABLE_1_BIM).any():
            tried.insert(1, (fixed_step, with_fixed_step, defense))
        papers = paper.accuracies(defense, dataset)
        for (choice, table, classifier), column in product(tried, COLUMNS):
            found, printed = figure(select(table, dataset, classifier, column)), papers.get(column, math.nan)
            key = {"dataset": dataset, "defense": defense, "choice": choice, "column": column}
            rows.append({**key, **found, "paper": printed, "difference": found["mean"] - printed})
    return pd.DataFrame(rows)


def distances(table: pd.DataFrame) -> pd.Series:
    """How far each choice's figures are from the paper's on average, in points, by data set, defense and choice; NaN where it
    has none.
    """
    return table["difference"].abs().groupby([table["dataset"], table["defense"], table["choice"]], sort=False).mean()


def page(table: pd.DataFrame, labels: Labels) -> list[Section]:
    """The page of the choices in the table of `variants_table`: for each data set a row for each classifier and choice."""
    fewest, most, examples = table["seeds"].min(), table["seeds"].max(), table["examples"].max()
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    luck = "" if fewest > 1 else " One seed cannot tell which choice is the nearest."
    note = (
        f"Test accuracy in percent on {examples:,} images, under PGD on {table['examples'].min():,}, mean of {seeds} "
        f"seed{'s' if most > 1 else ''}. {labels.trained} Each choice departs from that."
    )
    if table["paper"].notna().any():
        note += (
            " In brackets the difference from the paper's. Distance: mean over the columns of the absolute differences from "
            f"the paper's, in points.{luck}"
        )
    sections = [Section("", note)]
    for dataset, title in labels.datasets.items():
        sections.append(Section(title, table=_wide(table[table["dataset"] == dataset], labels.defenses), index=False))
    return sections


def _wide(table: pd.DataFrame, defenses: Mapping[str, str]) -> pd.DataFrame:
    """A row for each classifier and choice, a cell of text for each column, and the distance from the paper's row, if any.

    The least is marked where all of a classifier's choices have several seeds.
    """
    text = table.assign(text=[f"{row.mean:.2f}{_bracket(row.difference)}" for row in table.itertuples()])
    found = distances(table).droplevel("dataset")
    wide = text.pivot(index=["defense", "choice"], columns="column", values="text").loc[found.index, [*COLUMNS]]
    several, known = table.groupby("defense")["seeds"].min() > 1, found.dropna()
    nearest = {row for row in known.groupby("defense").idxmin() if several[row[0]]}
    if len(known):
        wide["Distance"] = [
            "" if math.isnan(distance) else f"{distance:.2f}" + (", nearest" if row in nearest else "")
            for row, distance in found.items()
        ]
    wide = wide.rename(index=defenses, level="defense").rename_axis(index=["Classifier", "Choice"], columns=None)
    return wide.reset_index()


def _bracket(difference: float) -> str:
    """Such as " [-1.20]"; nothing where the paper has no figure."""
    return "" if math.isnan(difference) else f" [{difference:+.2f}]"
