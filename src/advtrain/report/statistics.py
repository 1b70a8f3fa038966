"""How sure a figure is: mean, standard deviation and 95% interval over seeds.

One seed has no interval that says anything about another training. Evaluated on a part of the test images it has one over
images, which tells only what other images would give for the same weights; on all of them, also the paper's, it has none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from advtrain.evaluation.table import unpack_outcomes
from advtrain.system.errors import InputError

LEVEL = 0.95
TEST_IMAGES = 10_000
"""Test images of MNIST and of Fashion-MNIST, and of CIFAR-10: all that there are, and of the former two the paper's."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval, all in the figure's own unit (accuracies as fractions)."""

    mean: float
    std: float
    """Over seeds; NaN for one."""
    lower: float
    """With `upper` over seeds or rounds; of one seed over images, or NaN where it has all of them."""
    upper: float
    seeds: int
    """Of a time, rounds."""
    examples: int | None = None
    """Test images that it is about; None for a time."""

    def percent(self) -> dict[str, Any]:
        """The fields by name, in percent or points: a table's columns of a figure."""
        return {**vars(self), **{name: 100 * getattr(self, name) for name in ("mean", "std", "lower", "upper")}}

    @property
    def repeated(self) -> bool:
        """Whether it is of several seeds or rounds, so that its interval tells what another one may give."""
        return self.seeds > 1

    @property
    def basis(self) -> str:
        """What it rests on, such as "5 seeds, 10,000 images" or "30 rounds"."""
        if self.examples is None:
            return f"{self.seeds} round{'s' if self.seeds > 1 else ''}"
        return f"{self.seeds} seed{'s' if self.seeds > 1 else ''}, {self.examples:,} images"


def accuracy(rows: pd.DataFrame) -> Estimate:
    """Accuracy from the evaluation table's rows of one figure, one for each seed: t over seeds, or Wilson's over images.

    Raises:
        InputError: there is no row, or a seed has two.
    """
    if len(_by_seed(rows)) > 1:
        return contrast([(1.0, rows)])
    correct, examples = (int(rows[column].iloc[0]) for column in ("correct", "examples"))
    found = Estimate(correct / examples, math.nan, math.nan, math.nan, 1, examples)
    if examples >= TEST_IMAGES:
        return found
    interval = stats.binomtest(correct, examples).proportion_ci(LEVEL, method="wilson")
    return replace(found, lower=interval.low, upper=interval.high)


def figure(rows: pd.DataFrame) -> dict[str, Any]:
    """A table's columns of an accuracy, those of `Estimate.percent`; raises as `accuracy`."""
    return accuracy(rows).percent()


def how_sure(seeds: pd.Series) -> str:
    """What figures of so many seeds are, and what their intervals tell, in words."""
    fewest, most = int(seeds.min()), int(seeds.max())
    if most == 1:
        return 'of one seed, which cannot tell what another training gives (an interval with "images" is over test images only)'
    number = f"{most}" if fewest == most else f"{fewest} to {most}"
    over = f"mean over {number} seeds, with the 95% interval over seeds (t), for these test images"
    return over if fewest > 1 else f'{over} (one with "images" is of one seed, and over test images only)'


def one_more_run(std: pd.Series, seeds: pd.Series) -> pd.Series:
    """How far from the mean one more run of ours lies, at most, with a probability of 95%, if runs are normal.

    Args:
        std: standard deviation s over n seeds, in any unit.
        seeds: n.

    Returns:
        t(n-1) s sqrt(1 + 1/n), half of the prediction interval's width, in the same unit; NaN for one seed.
    """
    return stats.t.ppf((1 + LEVEL) / 2, seeds - 1) * std * np.sqrt(1 + 1 / seeds)


def difference(rows: pd.DataFrame, less: pd.DataFrame) -> Estimate:
    """Accuracy of `rows` less that of `less`, paired and raising as `contrast`."""
    return contrast([(1.0, rows), (-1.0, less)])


def contrast(terms: Sequence[tuple[float, pd.DataFrame]]) -> Estimate:
    """A weighted sum of accuracies, each of the evaluation table's rows of one figure, one for each seed.

    Paired by the seeds that all terms have, with the t interval of their sums. Where that is one seed, an interval is given for
    a part of the test images only, and paired by image: the normal one of the images' sums, with half an image added at each of
    the two extremes and one in the middle, so that it has a width even where all images agree (Agresti and Min 2005 for two
    accuracies). Images that a term was not evaluated on are left out of all.

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
        found = _over_seeds(np.array([of_seed.mean() for of_seed in values]), len(values[0]))
    else:
        found = _over_images(values[0], low, high)
    lower, upper = np.clip([found.lower, found.upper], low, high)  # what accuracies can give
    return replace(found, lower=float(lower), upper=float(upper))


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


def _over_seeds(values: NDArray[np.float64], images: int) -> Estimate:
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * std / math.sqrt(len(values))
    return Estimate(mean, std, mean - half, mean + half, len(values), images)


def _over_images(values: NDArray[np.float64], low: float, high: float) -> Estimate:
    found = Estimate(float(values.mean()), math.nan, math.nan, math.nan, 1, len(values))
    if len(values) >= TEST_IMAGES:
        return found
    padded = np.concatenate([values, [low, high, (low + high) / 2]])
    weights = np.concatenate([np.ones(len(values)), [0.5, 0.5, 1.0]])
    centre = np.average(padded, weights=weights)
    variance = np.average((padded - centre) ** 2, weights=weights) / weights.sum()
    half = stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt(variance)
    return replace(found, lower=float(centre - half), upper=float(centre + half))
