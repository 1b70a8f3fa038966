"""How sure a figure is: mean, standard deviation and 95% interval, over seeds where there are several, else over the images.

An interval over seeds tells what another training would give. With one seed it tells only what other test images would give for
the same weights, and leaves out the variation between seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from advtrain.evaluation.table import unpack_outcomes
from advtrain.system.errors import InputError

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval, all in the figure's own unit (accuracies as fractions)."""

    mean: float
    std: float
    """Over seeds; NaN for one."""
    lower: float
    upper: float
    seeds: int

    def percent(self) -> dict[str, float]:
        """The fields by name, in percent or points: a table's columns of a figure."""
        return {**{name: 100 * getattr(self, name) for name in ("mean", "std", "lower", "upper")}, "seeds": self.seeds}


def accuracy(rows: pd.DataFrame) -> Estimate:
    """Accuracy from the evaluation table's rows of one figure, one for each seed: t over seeds, or Wilson's for one seed.

    Raises:
        InputError: there is no row, or a seed has two.
    """
    if len(_by_seed(rows)) > 1:
        return contrast([(1.0, rows)])
    correct, examples = (int(rows[column].iloc[0]) for column in ("correct", "examples"))
    interval = stats.binomtest(correct, examples).proportion_ci(LEVEL, method="wilson")
    return Estimate(correct / examples, math.nan, interval.low, interval.high, 1)


def figure(rows: pd.DataFrame) -> dict[str, float]:
    """A table's columns of an accuracy: those of `Estimate.percent`, and `examples`; raises as `accuracy`."""
    return {**accuracy(rows).percent(), "examples": rows["examples"].iloc[0]}


def how_sure(seeds: int) -> str:
    """What a figure of so many seeds is, and what its interval tells, in words."""
    if seeds > 1:
        return f"mean over {seeds} seeds, with the 95% interval over seeds (t)"
    return "of one seed, with the 95% interval over images, which leaves out the variation between seeds"


def difference(rows: pd.DataFrame, less: pd.DataFrame) -> Estimate:
    """Accuracy of `rows` less that of `less`, paired and raising as `contrast`."""
    return contrast([(1.0, rows), (-1.0, less)])


def contrast(terms: Sequence[tuple[float, pd.DataFrame]]) -> Estimate:
    """A weighted sum of accuracies, each of the evaluation table's rows of one figure, one for each seed.

    Paired by the seeds that all terms have, with the t interval of their sums; or by image where that is one seed, with the
    normal interval of the images' sums, with half an image added at each of the two extremes and one in the middle, so that it
    has a width even where all images agree (Agresti and Min 2005 for two accuracies). Images that a term was not evaluated on
    are left out of all.

    Raises:
        InputError: a term has no row, a seed has two, or the terms have no seed in common.
    """
    by_seed = [(weight, _by_seed(rows)) for weight, rows in terms]
    seeds = sorted(set.intersection(*(set(rows.index) for _, rows in by_seed)))
    if not seeds:
        raise InputError("accuracies without a seed in common cannot be paired")
    values = [_per_image([(weight, rows.loc[seed]) for weight, rows in by_seed]) for seed in seeds]
    low, high = sum(min(weight, 0) for weight, _ in terms), sum(max(weight, 0) for weight, _ in terms)
    if len(seeds) > 1:
        found = _over_seeds(np.array([of_seed.mean() for of_seed in values]))
    else:
        found = _over_images(values[0], low, high)
    return replace(found, lower=max(found.lower, low), upper=min(found.upper, high))  # what accuracies can give


def median_of_repeats(values: NDArray[np.float64]) -> Estimate:
    """Median of repeats, [n], as `mean`, with its interval from order statistics, which no outlier moves.

    The interval is NaN below six repeats: fewer cannot tell a median at 95%.
    """
    interval = stats.quantile_test(values, q=0.0, p=0.5).confidence_interval(LEVEL)
    return Estimate(float(np.median(values)), math.nan, float(interval.low), float(interval.high), len(values))


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    indexed = rows.set_index("seed").sort_index()
    if indexed.empty or indexed.index.has_duplicates:
        raise InputError("a figure needs one row for each seed; there is none, or a seed has two")
    return indexed


def _per_image(terms: Sequence[tuple[float, pd.Series]]) -> NDArray[np.float64]:
    """The weighted sum of one seed's outcomes, image by image, on the images that all terms are about."""
    images = min(row["examples"] for _, row in terms)
    outcomes = [weight * unpack_outcomes(row["outcomes"], images) for weight, row in terms]
    return np.asarray(np.sum(outcomes, axis=0))


def _over_seeds(values: NDArray[np.float64]) -> Estimate:
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * std / math.sqrt(len(values))
    return Estimate(mean, std, mean - half, mean + half, len(values))


def _over_images(values: NDArray[np.float64], low: float, high: float) -> Estimate:
    padded = np.concatenate([values, [low, high, (low + high) / 2]])
    weights = np.concatenate([np.ones(len(values)), [0.5, 0.5, 1.0]])
    centre = np.average(padded, weights=weights)
    variance = np.average((padded - centre) ** 2, weights=weights) / weights.sum()
    half = stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt(variance)
    return Estimate(float(values.mean()), math.nan, float(centre - half), float(centre + half), 1)
