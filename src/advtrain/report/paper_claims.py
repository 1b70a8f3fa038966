"""The paper's claims, each judged on our figures (Liu, Khalil, Khreishah 2019).

Each claim is a function that says in code what the paper says in a sentence: that some conditions are met, all of them. How a
condition and a claim come to their answers is in `verdicts`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from advtrain.report import paper
from advtrain.report.statistics import Estimate, accuracy, contrast, difference, median_of_repeats
from advtrain.report.verdicts import (
    PERCENT,
    POINTS,
    Condition,
    Verdict,
    at_least,
    below,
    least_certain,
    more_than_nothing,
    no_rise,
    verdict,
    within,
)

DATASETS = ("mnist", "fmnist")
UNDEFENDED = ("vanilla", "fgsm_adv")
BIM_ADV = ("bim10_adv", "bim30_adv")
SINGLE_ADV = ("fgsm_adv", "atda", "proposed")
TABLE_1_BIM = (10, 30)
TRACED = 10
"""Number N of the BIM that Figure 2 looks into."""

CHANCE = 0.1
"""Accuracy of guessing among ten classes."""
CONVERGED = 0.02
"""What may still change after convergence: by Table I BIM(10)-Adv loses 1.49 points from BIM(10) to BIM(30) on Fashion-MNIST,
and the paper calls that stable; half a point more for the error of such a figure."""
SAME_LEVEL = 0.01
"""What two figures may differ by and still be equal: by Table I Proposed and BIM(10)-Adv are 0.92 points apart on MNIST, and
the paper puts them at one level."""
LARGEST_SAVING = 0.85
"""Share of an epoch's time that a Single-Adv method saves of an Iter-Adv one's, at most, in the words of Section V; its Table I
has more."""


class MissingError(Exception):
    """A claim needs a figure that this run did not evaluate; the message names it."""


@dataclass(frozen=True)
class Figures:
    """Our figures, all that the claims are judged on."""

    evaluations: pd.DataFrame
    """The evaluation table of all cells."""
    timing_blocks: pd.DataFrame
    """The table of `timing.time_epochs`."""
    datasets: Mapping[str, str]
    """Title of each data set, by name."""
    defenses: Mapping[str, str]
    """Title of each defense, by name."""

    def cell(self, dataset: str, defense: str) -> str:
        """The cell's title.

        Raises:
            MissingError: the configuration does not have it.
        """
        if dataset not in self.datasets or defense not in self.defenses:
            raise MissingError(f"{dataset}/{defense}")
        return f"{self.datasets[dataset]}, {self.defenses[defense]}"

    def bim(self, dataset: str, defense: str, n: int, iterate: int) -> pd.DataFrame:
        """The evaluation table's rows of one iterate of BIM(n), one for each seed; iterate n is the attack's end.

        Raises:
            MissingError: it was not evaluated.
        """
        rows = self._bim_rows(dataset, defense)
        rows = rows[(rows["iterations"] == n) & (rows["iterate"] == iterate)]
        if rows.empty:
            of = f"iterate {iterate} of " if iterate != n else ""
            raise MissingError(f"{of}BIM({n}) of {dataset}/{defense}")
        return rows

    def sweep_above(self, dataset: str, defense: str, n: int) -> list[int]:
        """The numbers N > n for which the cell was evaluated under BIM(N), in order; at least one.

        Raises:
            MissingError: there is none.
        """
        rows = self._bim_rows(dataset, defense)
        found = {int(swept) for swept in rows.loc[rows["iterate"] == rows["iterations"], "iterations"] if swept > n}
        if not found:
            raise MissingError(f"BIM(N) with N > {n} of {dataset}/{defense}")
        return sorted(found)

    def difference(self, dataset: str, defense: str, less: str, n: int) -> tuple[str, Estimate]:
        """Accuracy of one defense less that of another under BIM(n), with its name; raises as `bim`."""
        ours = difference(self.bim(dataset, defense, n, n), self.bim(dataset, less, n, n))
        return f"{self.cell(dataset, defense)} less {self.defenses[less]} under BIM({n})", ours

    def saving(self, cheap: str, dear: str) -> tuple[str, Estimate]:
        """Share of an epoch's time of `dear` that `cheap` saves, median over rounds of timing, with its name.

        Raises:
            MissingError: one of the two was not timed.
        """
        seconds = self.timing_blocks.pivot(index="block", columns="defense", values="seconds_per_epoch")
        for defense in (cheap, dear):
            if defense not in seconds:
                raise MissingError(f"training time of {defense}")
        ours = median_of_repeats((1 - seconds[cheap] / seconds[dear]).to_numpy())
        return f"Time of an epoch that {self.defenses[cheap]} saves of {self.defenses[dear]}'s", ours

    def _bim_rows(self, dataset: str, defense: str) -> pd.DataFrame:
        table = self.evaluations
        return table[(table["attack"] == "bim") & (table["dataset"] == dataset) & (table["defense"] == defense)]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and what our figures say of it."""

    key: str
    sentence: str
    """The claim in our words."""
    where: str
    """Where the paper makes it."""
    paper: str
    """The paper's figures for it."""
    conditions: tuple[Condition, ...]
    """What had to be met; none where something was not evaluated."""
    verdict: Verdict
    rule: str
    """How it was judged; where something was not evaluated, what."""


Judge = Callable[[Figures], Claim]


def claim(*, where: str, paper: str, rule: str) -> Callable[[Callable[[Figures], Iterator[Condition]]], Judge]:
    """Make a claim of a function whose docstring is its sentence and whose conditions have to be met, all of them.

    Args:
        where: where the paper makes it.
        paper: the paper's figures for it.
        rule: how it is judged, with its tolerance.
    """

    def make(conditions_of: Callable[[Figures], Iterator[Condition]]) -> Judge:
        sentence = (conditions_of.__doc__ or "").strip()

        @functools.wraps(conditions_of)
        def judge(figures: Figures) -> Claim:
            try:
                conditions = tuple(conditions_of(figures))
            except MissingError as missing:
                reason = f"not evaluated here: {missing}"
                return Claim(conditions_of.__name__, sentence, where, paper, (), Verdict.CANNOT_BE_TOLD, reason)
            return Claim(conditions_of.__name__, sentence, where, paper, conditions, verdict(conditions), rule)

        return judge

    return make


def judge_all(figures: Figures) -> list[Claim]:
    """All claims, in the paper's order.

    Raises:
        InputError: figures that have to be compared are of different seeds, or a seed has two.
    """
    return [judge(figures) for judge in CLAIMS]


def _points(defense: str, less: str, dataset: str, n: int) -> float:
    """The paper's accuracy of one defense less that of another under BIM(n), in points (Table I)."""
    column = paper.COLUMNS.index(f"BIM({n})")
    return paper.TABLE_1[defense][dataset][column] - paper.TABLE_1[less][dataset][column]


def _saving(cheap: str, dear: str) -> float:
    """Share of an epoch's time of `dear` that `cheap` saves in the paper (Table I)."""
    return 1 - paper.SECONDS_PER_EPOCH[cheap] / paper.SECONDS_PER_EPOCH[dear]


def _listed(defense: str, less: str, *datasets: str) -> str:
    """The same for some data sets under each BIM of Table I, in words."""
    *first, last = (f"{_points(defense, less, dataset, n):+.2f}" for dataset in datasets for n in TABLE_1_BIM)
    return f"{', '.join(first)} and {last} points"


def _as_large_as(papers: float, quantity: str, ours: Estimate, unit: str) -> Iterator[Condition]:
    """There is a difference in the paper's sense; and it is as large as the paper's, a fraction, but for `SAME_LEVEL`."""
    yield more_than_nothing(quantity, ours, unit)
    yield at_least(quantity, ours, papers - SAME_LEVEL, unit)


AS_LARGE_AS = f"More than 0, and at least the paper's figure less {100 * SAME_LEVEL:g} point"


@claim(
    where="Section II, Figure 1",
    paper="the curves of Figure 1 are flat from there on",
    rule=f"From there to every larger N of the sweep accuracy changes by {100 * CONVERGED:g} points at most, to either side. "
    "Of each classifier the N that comes nearest to failing is shown.",
)
def bim_converges(figures: Figures) -> Iterator[Condition]:
    """BIM with more than 5 iterations on MNIST, or 10 on Fashion-MNIST, is hardly stronger against the BIM-Adv classifiers."""
    for dataset, n in (("mnist", 5), ("fmnist", 10)):
        for defense in BIM_ADV:
            there = figures.bim(dataset, defense, n, n)
            yield least_certain(
                within(
                    f"{figures.cell(dataset, defense)}, BIM({more}) less BIM({n})",
                    difference(figures.bim(dataset, defense, more, more), there),
                    CONVERGED,
                )
                for more in figures.sweep_above(dataset, defense, n)
            )


@claim(
    where="Section II, Figure 1",
    paper="below 10% for every N > 4",
    rule="Below 10% for every N > 4 of the sweep; of each classifier the N that comes nearest to failing is shown.",
)
def undefended_are_below_chance(figures: Figures) -> Iterator[Condition]:
    """Vanilla and FGSM-Adv do worse than guessing under BIM with more than 4 iterations."""
    for dataset in DATASETS:
        for defense in UNDEFENDED:
            yield least_certain(
                below(f"{figures.cell(dataset, defense)}, BIM({n})", accuracy(figures.bim(dataset, defense, n, n)), CHANCE)
                for n in figures.sweep_above(dataset, defense, 4)
            )


@claim(
    where="Section III, Figure 2",
    paper="all four curves fall throughout",
    rule="No iterate is more accurate than the one before; a rise counts against it where its interval leaves out 0. "
    "Of each classifier the iterate that comes nearest to a rise is shown.",
)
def accuracy_never_rises(figures: Figures) -> Iterator[Condition]:
    """Accuracy never rises from one iterate of BIM(10) to the next, for each of the four classifiers of Figure 2."""
    for dataset in DATASETS:
        for defense in paper.IN_FIGURES_1_AND_2:
            trace = [figures.bim(dataset, defense, TRACED, iterate) for iterate in range(TRACED + 1)]
            yield least_certain(
                no_rise(f"{figures.cell(dataset, defense)}, iterate {i} less {i - 1}", difference(trace[i], trace[i - 1]))
                for i in range(1, TRACED + 1)
            )


@claim(
    where="Section III, Figure 2",
    paper="worse than guessing from about iterate 8 on",
    rule="Below 10% at iterate 8.",
)
def undefended_fall_early(figures: Figures) -> Iterator[Condition]:
    """Vanilla and FGSM-Adv do worse than guessing by iterate 8 of BIM(10), before the attack has ended."""
    for dataset in DATASETS:
        for defense in UNDEFENDED:
            ours = accuracy(figures.bim(dataset, defense, TRACED, 8))
            yield below(f"{figures.cell(dataset, defense)}, iterate 8", ours, CHANCE)


@claim(
    where="Section III, Figure 2",
    paper="most within about 6 of 10 iterates",
    rule="What iterate 6 has taken, less half of what iterate 10 has taken, is more than 0.",
)
def most_is_lost_early(figures: Figures) -> Iterator[Condition]:
    """Of the accuracy that BIM(10) takes from the BIM-Adv classifiers, its first 6 iterates take more than half."""
    for dataset in DATASETS:
        for defense in BIM_ADV:
            clean, sixth, last = (figures.bim(dataset, defense, TRACED, iterate) for iterate in (0, 6, TRACED))
            beyond_half = contrast([(0.5, clean), (-1.0, sixth), (0.5, last)])
            quantity = f"{figures.cell(dataset, defense)}, lost by iterate 6 beyond half of the loss"
            yield more_than_nothing(quantity, beyond_half, POINTS)


@claim(
    where="Section II, Figure 1 and Table I",
    paper=f"{_listed('bim30_adv', 'bim10_adv', 'mnist')} (Table I)",
    rule=f"At most {100 * SAME_LEVEL:g} point to either side under BIM(10) and BIM(30).",
)
def finer_training_is_no_better_on_mnist(figures: Figures) -> Iterator[Condition]:
    """On MNIST BIM(30)-Adv, trained with finer steps, is about as robust as BIM(10)-Adv."""
    for n in TABLE_1_BIM:
        yield within(*figures.difference("mnist", "bim30_adv", "bim10_adv", n), SAME_LEVEL)


@claim(
    where="Section II, Figure 1 and Table I",
    paper=f"{_listed('bim30_adv', 'bim10_adv', 'fmnist')} (Table I)",
    rule="More accurate under BIM(10) and under BIM(30).",
)
def finer_training_is_better_on_fashion_mnist(figures: Figures) -> Iterator[Condition]:
    """On Fashion-MNIST BIM(30)-Adv is more robust than BIM(10)-Adv."""
    for n in TABLE_1_BIM:
        yield more_than_nothing(*figures.difference("fmnist", "bim30_adv", "bim10_adv", n), POINTS)


@claim(
    where="Section V, Table I, abstract",
    paper=f"{_listed('proposed', 'atda', *DATASETS)} (Table I; the text prints 9.83 for the second)",
    rule=f"{AS_LARGE_AS}, in all four.",
)
def proposed_beats_atda(figures: Figures) -> Iterator[Condition]:
    """Proposed is more accurate than ATDA under BIM(10) and BIM(30) on both data sets, by the paper's margins."""
    for dataset in DATASETS:
        for n in TABLE_1_BIM:
            margin = _points("proposed", "atda", dataset, n) / 100
            yield from _as_large_as(margin, *figures.difference(dataset, "proposed", "atda", n), POINTS)


@claim(
    where="Section V, Table I",
    paper=f"{_listed('proposed', 'bim10_adv', *DATASETS)} (Table I)",
    rule=f"At most {100 * SAME_LEVEL:g} point below, or above, under BIM(10) and BIM(30) on both data sets.",
)
def proposed_matches_bim10_adv(figures: Figures) -> Iterator[Condition]:
    """Proposed, trained with one step, is as robust as BIM(10)-Adv or more."""
    for dataset in DATASETS:
        for n in TABLE_1_BIM:
            yield at_least(*figures.difference(dataset, "proposed", "bim10_adv", n), -SAME_LEVEL, POINTS)


@claim(
    where="Section V, Table I, abstract",
    paper=f"{100 * _saving('proposed', 'atda'):.2f}% less (Table I; the text prints 28.75%)",
    rule=f"{AS_LARGE_AS}; median over rounds, each defense against the other in the same round.",
)
def proposed_is_cheaper_than_atda(figures: Figures) -> Iterator[Condition]:
    """An epoch of Proposed takes less time than one of ATDA, by the paper's margin."""
    return _as_large_as(_saving("proposed", "atda"), *figures.saving("proposed", "atda"), PERCENT)


@claim(
    where="Section V, Table I",
    paper=f"up to {100 * LARGEST_SAVING:g}% less (the text; Table I has {100 * _saving('fgsm_adv', 'bim30_adv'):.2f}%)",
    rule=f"{AS_LARGE_AS}, for the pair that saves most; median over rounds.",
)
def single_adv_is_cheaper_than_iter_adv(figures: Figures) -> Iterator[Condition]:
    """An epoch of a Single-Adv method takes less time than one of an Iter-Adv method, by up to the paper's margin."""
    pairs = [figures.saving(single, iterative) for single in SINGLE_ADV for iterative in BIM_ADV]
    return _as_large_as(LARGEST_SAVING, *max(pairs, key=lambda pair: pair[1].mean), PERCENT)


CLAIMS = (
    bim_converges,
    undefended_are_below_chance,
    accuracy_never_rises,
    undefended_fall_early,
    most_is_lost_early,
    finer_training_is_no_better_on_mnist,
    finer_training_is_better_on_fashion_mnist,
    proposed_beats_atda,
    proposed_matches_bim10_adv,
    proposed_is_cheaper_than_atda,
    single_adv_is_cheaper_than_iter_adv,
)
