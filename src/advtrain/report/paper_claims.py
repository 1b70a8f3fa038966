"""The paper's claims, each judged on our figures (Liu, Khalil, Khreishah 2019), and for CIFAR-10 those of the authors' sequel.

Each claim is a function that says in code what the paper says in a sentence: that some conditions are met, all of them. How a
condition and a claim come to their answers is in `verdicts`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import pandas as pd

from advtrain.report import paper
from advtrain.report.paper import TABLE_1_BIM
from advtrain.report.statistics import accuracy, contrast, difference, median_of_repeats
from advtrain.report.verdicts import PERCENT, POINTS, Condition, Quantity, Verdict, least_certain, verdict

UNDEFENDED = ("vanilla", "fgsm_adv")
BIM_ADV = ("bim10_adv", "bim30_adv")
SINGLE_ADV = ("fgsm_adv", "atda", "proposed")
TRACED = 10
"""Number N of the BIM that Figure 2 looks into."""

CHANCE = 0.1
"""Accuracy of guessing among ten classes."""
CONVERGED = 0.02
"""What may still change after convergence: the 1.49 points that BIM(10)-Adv loses from BIM(10) to BIM(30) on Fashion-MNIST by
Table I, which the paper calls stable, and half a point for the error of such a figure."""
SAME_LEVEL = 0.01
"""What two figures may differ by and still be equal: by Table I Proposed and BIM(10)-Adv are 0.92 points apart on MNIST, and
the paper puts them at one level."""
LARGEST_SAVING = 0.85
"""Share of an epoch's time that a Single-Adv method saves of an Iter-Adv one's at most, by Section V; by Table I it is more."""

SEQUEL = ("cifar10",)
SEQUEL_ITER_ADV = (*BIM_ADV, "pgd_at")
"""Classifiers that train on "BIM or Madry examples", which the abstract compares with, whichever were trained."""
SEQUEL_ABSTRACT = "Sequel (Liu, Khalil, Khreishah 2021, arXiv 2002.09632), abstract"
SEQUEL_OVER_ATDA = 0.3567
SEQUEL_SAVES_OF_ATDA = 0.1914
SEQUEL_SAVES_OF_BIM_ADV = 0.7603
SEQUEL_LOSES_TO_BIM_ADV = 0.0378
"""What the sequel's method gains on CIFAR-10, as fractions; its abstract does not name the attack of an accuracy."""

Cell = tuple[str, str]
"""Names of a data set and of a defense."""


class MissingError(Exception):
    """A claim needs a figure that this run did not evaluate; the message names it."""


@dataclass(frozen=True)
class Figures:
    """Our figures, all that the claims are judged on; each method raises `MissingError` for what this run does not have."""

    evaluations: pd.DataFrame
    """The evaluation table of all cells."""
    timing_blocks: pd.DataFrame
    """The table of `timing.time_epochs`."""
    timed_on: str
    """Name of the data set that the time was measured on."""
    datasets: Mapping[str, str]
    """Title of each data set, by name."""
    defenses: Mapping[str, str]
    """Title of each defense, by name."""

    @cached_property
    def _bim(self) -> dict[tuple[str, str, int, int], pd.DataFrame]:
        """Rows of the evaluation table by data set, defense, N of BIM(N) and iterate."""
        rows = self.evaluations[self.evaluations["attack"] == "bim"]
        return dict(iter(rows.groupby(["dataset", "defense", "iterations", "iterate"])))

    def bim(self, cell: Cell, n: int, iterate: int | None = None) -> pd.DataFrame:
        """The evaluation table's rows of one iterate of BIM(n), or of its end, one for each seed."""
        rows = self._bim.get((*cell, n, n if iterate is None else iterate))
        if rows is None:
            of = f"iterate {iterate} of " if iterate not in (None, n) else ""
            raise MissingError(f"{of}BIM({n}) of {'/'.join(cell)}")
        return rows

    def sweep_above(self, cell: Cell, n: int) -> list[int]:
        """The numbers N > n for which the cell was evaluated under BIM(N), in order; at least one."""
        evaluated = [(swept, iterate) for dataset, defense, swept, iterate in self._bim if (dataset, defense) == cell]
        found = sorted(int(swept) for swept, iterate in evaluated if iterate == swept > n)
        if not found:
            raise MissingError(f"BIM(N) with N > {n} of {'/'.join(cell)}")
        return found

    def title(self, cell: Cell) -> str:
        """What tables and figures call the cell."""
        return f"{self.datasets[cell[0]]}, {self.defenses[cell[1]]}"

    def difference(self, dataset: str, defense: str, less: str, n: int) -> Quantity:
        """Accuracy of one defense less that of another under BIM(n)."""
        ours = difference(self.bim((dataset, defense), n), self.bim((dataset, less), n))
        return Quantity(f"{self.title((dataset, defense))} less {self.defenses[less]} under BIM({n})", ours, POINTS)

    def saving(self, cheap: str, dear: str) -> Quantity:
        """Share of an epoch's time of `dear` that `cheap` saves, median over rounds of timing."""
        seconds = self.timing_blocks.pivot(index="block", columns="defense", values="seconds_per_epoch")
        for defense in (cheap, dear):
            if defense not in seconds:
                raise MissingError(f"training time of {defense}")
        ours = median_of_repeats((1 - seconds[cheap] / seconds[dear]).to_numpy())
        return Quantity(f"Time of an epoch that {self.defenses[cheap]} saves of {self.defenses[dear]}'s", ours, PERCENT)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what our figures say of it."""

    key: str
    sentence: str
    where: str
    paper: str
    """The paper's figures for it, or the sequel's."""
    conditions: tuple[Condition, ...]
    """What had to be met; none where something was not evaluated."""
    verdict: Verdict
    rule: str
    """How it was judged; where something was not evaluated, what."""

    @property
    def basis(self) -> str:
        """The seeds and images, or rounds, that its conditions rest on."""
        return "; ".join(dict.fromkeys(condition.quantity.ours.basis for condition in self.conditions))


Judge = Callable[[Figures], Claim]
CLAIMS: list[tuple[Judge, Sequence[str]]] = []
"""All claims, in the paper's order, each with the data sets that it is about."""


def claim(
    *, where: str, paper: str, rule: str, about: Sequence[str] = paper.DATASETS
) -> Callable[[Callable[[Figures], Iterable[Condition]]], Judge]:
    """Make a `Claim`, and add it to `CLAIMS`, of a function whose docstring is its sentence and which gives its conditions."""

    def make(conditions_of: Callable[[Figures], Iterable[Condition]]) -> Judge:
        def judge(figures: Figures) -> Claim:
            conditions, judged = tuple[Condition, ...](), rule
            try:
                conditions = tuple(conditions_of(figures))
            except MissingError as missing:
                judged = f"not evaluated here: {missing}"
            sentence = (conditions_of.__doc__ or "").strip()
            return Claim(conditions_of.__name__, sentence, where, paper, conditions, verdict(conditions), judged)

        CLAIMS.append((judge, about))
        return judge

    return make


def judge_all(figures: Figures) -> list[Claim]:
    """All claims about any of the data sets, in the paper's order.

    Raises:
        InputError: figures that have to be compared are of different seeds, or a seed has two.
    """
    return [judge(figures) for judge, about in CLAIMS if not figures.datasets.keys().isdisjoint(about)]


def _points(defense: str, less: str, dataset: str, n: int) -> float:
    """The paper's accuracy of one defense less that of another under BIM(n), in points (Table I)."""
    column = paper.COLUMNS.index(f"BIM({n})")
    return paper.TABLE_1[defense][dataset][column] - paper.TABLE_1[less][dataset][column]


def _listed(defense: str, less: str, *datasets: str) -> str:
    """The same for some data sets under each BIM of Table I, in words."""
    *first, last = (f"{_points(defense, less, dataset, n):+.2f}" for dataset, n in product(datasets, TABLE_1_BIM))
    return f"{', '.join(first)} and {last} points"


def _saving(cheap: str, dear: str) -> float:
    """Share of an epoch's time of `dear` that `cheap` saves in the paper (Table I)."""
    return 1 - paper.SECONDS_PER_EPOCH[cheap] / paper.SECONDS_PER_EPOCH[dear]


def _as_large_as(papers: float, ours: Quantity) -> list[Condition]:
    """There is a difference in the paper's sense; and it is as large as the paper's, a fraction, but for `SAME_LEVEL`."""
    return [ours.more_than_nothing(), ours.at_least(papers - SAME_LEVEL)]


AS_LARGE_AS = f"More than 0, and at least the paper's figure less {100 * SAME_LEVEL:g} point"


@claim(
    where="Section II, Figure 1",
    paper="the curves of Figure 1 are flat from there on",
    rule=f"From there to every larger N of the sweep accuracy changes by {100 * CONVERGED:g} points at most, to either side. "
    "Of each classifier the N that comes nearest to failing is shown.",
)
def bim_converges(figures: Figures) -> Iterable[Condition]:
    """BIM with more than 5 iterations on MNIST, or 10 on Fashion-MNIST, is hardly stronger against the BIM-Adv classifiers."""
    for (dataset, n), defense in product((("mnist", 5), ("fmnist", 10)), BIM_ADV):
        cell = (dataset, defense)
        there = figures.bim(cell, n)
        changes = [(more, difference(figures.bim(cell, more), there)) for more in figures.sweep_above(cell, n)]
        yield least_certain(
            Quantity(f"{figures.title(cell)}, BIM({more}) less BIM({n})", change, POINTS).within(CONVERGED)
            for more, change in changes
        )


@claim(
    where="Section II, Figure 1",
    paper="below 10% for every N > 4",
    rule="Below 10% for every N > 4 of the sweep; of each classifier the N that comes nearest to failing is shown.",
)
def undefended_are_below_chance(figures: Figures) -> Iterable[Condition]:
    """Vanilla and FGSM-Adv do worse than guessing under BIM with more than 4 iterations."""
    for cell in product(paper.DATASETS, UNDEFENDED):
        yield least_certain(
            Quantity(f"{figures.title(cell)}, BIM({n})", accuracy(figures.bim(cell, n)), PERCENT).below(CHANCE)
            for n in figures.sweep_above(cell, 4)
        )


@claim(
    where="Section III, Figure 2",
    paper="all four curves fall throughout",
    rule="No iterate is more accurate than the one before; a rise counts against it where its interval leaves out 0. "
    "Of each classifier the iterate that comes nearest to a rise is shown.",
)
def accuracy_never_rises(figures: Figures) -> Iterable[Condition]:
    """Accuracy never rises from one iterate of BIM(10) to the next, for each of the four classifiers of Figure 2."""
    for cell in product(paper.DATASETS, paper.IN_FIGURES_1_AND_2):
        trace = [figures.bim(cell, TRACED, iterate) for iterate in range(TRACED + 1)]
        yield least_certain(
            Quantity(f"{figures.title(cell)}, iterate {i} less {i - 1}", difference(trace[i], trace[i - 1]), POINTS).no_rise()
            for i in range(1, TRACED + 1)
        )


@claim(
    where="Section III, Figure 2",
    paper="worse than guessing from about iterate 8 on",
    rule="Below 10% at iterate 8.",
)
def undefended_fall_early(figures: Figures) -> Iterable[Condition]:
    """Vanilla and FGSM-Adv do worse than guessing by iterate 8 of BIM(10), before the attack has ended."""
    for cell in product(paper.DATASETS, UNDEFENDED):
        ours = accuracy(figures.bim(cell, TRACED, 8))
        yield Quantity(f"{figures.title(cell)}, iterate 8", ours, PERCENT).below(CHANCE)


@claim(
    where="Section III, Figure 2",
    paper="most within about 6 of 10 iterates",
    rule="What iterate 6 has taken, less half of what iterate 10 has taken, is more than 0.",
)
def most_is_lost_early(figures: Figures) -> Iterable[Condition]:
    """Of the accuracy that BIM(10) takes from the BIM-Adv classifiers, its first 6 iterates take more than half."""
    for cell in product(paper.DATASETS, BIM_ADV):
        clean, sixth, last = (figures.bim(cell, TRACED, iterate) for iterate in (0, 6, TRACED))
        beyond_half = contrast([(0.5, clean), (-1.0, sixth), (0.5, last)])
        name = f"{figures.title(cell)}, lost by iterate 6 beyond half of the loss"
        yield Quantity(name, beyond_half, POINTS).more_than_nothing()


@claim(
    where="Section II, Figure 1 and Table I",
    paper=f"{_listed('bim30_adv', 'bim10_adv', 'mnist')} (Table I)",
    rule=f"At most {100 * SAME_LEVEL:g} point to either side under BIM(10) and BIM(30).",
)
def finer_training_is_no_better_on_mnist(figures: Figures) -> Iterable[Condition]:
    """On MNIST BIM(30)-Adv, trained with finer steps, is about as robust as BIM(10)-Adv."""
    return [figures.difference("mnist", "bim30_adv", "bim10_adv", n).within(SAME_LEVEL) for n in TABLE_1_BIM]


@claim(
    where="Section II, Figure 1 and Table I",
    paper=f"{_listed('bim30_adv', 'bim10_adv', 'fmnist')} (Table I)",
    rule="More accurate under BIM(10) and under BIM(30).",
)
def finer_training_is_better_on_fashion_mnist(figures: Figures) -> Iterable[Condition]:
    """On Fashion-MNIST BIM(30)-Adv is more robust than BIM(10)-Adv."""
    return [figures.difference("fmnist", "bim30_adv", "bim10_adv", n).more_than_nothing() for n in TABLE_1_BIM]


@claim(
    where="Section V, Table I, abstract",
    paper=f"{_listed('proposed', 'atda', *paper.DATASETS)} (Table I; the text prints 9.83 for the second)",
    rule=f"{AS_LARGE_AS}, in all four.",
)
def proposed_beats_atda(figures: Figures) -> Iterable[Condition]:
    """Proposed is more accurate than ATDA under BIM(10) and BIM(30) on both data sets, by the paper's margins."""
    for dataset, n in product(paper.DATASETS, TABLE_1_BIM):
        margin = _points("proposed", "atda", dataset, n) / 100
        yield from _as_large_as(margin, figures.difference(dataset, "proposed", "atda", n))


@claim(
    where="Section V, Table I",
    paper=f"{_listed('proposed', 'bim10_adv', *paper.DATASETS)} (Table I)",
    rule=f"At most {100 * SAME_LEVEL:g} point below, or above, under BIM(10) and BIM(30) on both data sets.",
)
def proposed_matches_bim10_adv(figures: Figures) -> Iterable[Condition]:
    """Proposed, trained with one step, is as robust as BIM(10)-Adv or more."""
    for dataset, n in product(paper.DATASETS, TABLE_1_BIM):
        yield figures.difference(dataset, "proposed", "bim10_adv", n).at_least(-SAME_LEVEL)


@claim(
    where="Section V, Table I, abstract",
    paper=f"{100 * _saving('proposed', 'atda'):.2f}% less (Table I; the text prints 28.75%)",
    rule=f"{AS_LARGE_AS}; median over rounds, each defense against the other in the same round.",
)
def proposed_is_cheaper_than_atda(figures: Figures) -> Iterable[Condition]:
    """An epoch of Proposed takes less time than one of ATDA, by the paper's margin."""
    return _as_large_as(_saving("proposed", "atda"), figures.saving("proposed", "atda"))


@claim(
    where="Section V, Table I",
    paper=f"up to {100 * LARGEST_SAVING:g}% less (the text; Table I has {100 * _saving('fgsm_adv', 'bim30_adv'):.2f}%)",
    rule=f"{AS_LARGE_AS}, for the pair that saves most; median over rounds.",
)
def single_adv_is_cheaper_than_iter_adv(figures: Figures) -> Iterable[Condition]:
    """An epoch of a Single-Adv method takes less time than one of an Iter-Adv method, by up to the paper's margin."""
    savings = [figures.saving(single, iterative) for single, iterative in product(SINGLE_ADV, BIM_ADV)]
    return _as_large_as(LARGEST_SAVING, max(savings, key=lambda saving: saving.ours.mean))


def _sequel_saving(figures: Figures, dear: str) -> Quantity:
    """What Proposed saves of the time of `dear`, if that was measured on CIFAR-10."""
    if figures.timed_on not in SEQUEL:
        raise MissingError("training time on CIFAR-10")
    return figures.saving("proposed", dear)


def _sequel_iter_adv(figures: Figures) -> list[str]:
    """Those of `SEQUEL_ITER_ADV` that there are."""
    if found := [defense for defense in SEQUEL_ITER_ADV if defense in figures.defenses]:
        return found
    raise MissingError("any classifier trained on BIM or PGD examples")


@claim(
    about=SEQUEL,
    where=SEQUEL_ABSTRACT,
    paper=f"{100 * SEQUEL_OVER_ATDA:+g} points",
    rule=f"{AS_LARGE_AS}, under BIM(10) and BIM(30), since the abstract does not name an attack.",
)
def sequel_beats_atda(figures: Figures) -> Iterable[Condition]:
    """On CIFAR-10 the method is more accurate than ATDA, by the sequel's margin."""
    for n in TABLE_1_BIM:
        yield from _as_large_as(SEQUEL_OVER_ATDA, figures.difference("cifar10", "proposed", "atda", n))


@claim(
    about=SEQUEL,
    where=SEQUEL_ABSTRACT,
    paper=f"{100 * SEQUEL_SAVES_OF_ATDA:g}% less",
    rule=f"{AS_LARGE_AS}; median over rounds, each defense against the other in the same round, and in its own batches.",
)
def sequel_is_cheaper_than_atda(figures: Figures) -> Iterable[Condition]:
    """On CIFAR-10 an epoch takes less time than one of ATDA, by the sequel's margin."""
    return _as_large_as(SEQUEL_SAVES_OF_ATDA, _sequel_saving(figures, "atda"))


@claim(
    about=SEQUEL,
    where=SEQUEL_ABSTRACT,
    paper=f"up to {100 * SEQUEL_SAVES_OF_BIM_ADV:g}% less",
    rule=f"{AS_LARGE_AS}, against the one trained of which most is saved; the abstract does not say of how many steps.",
)
def sequel_is_cheaper_than_bim_adv(figures: Figures) -> Iterable[Condition]:
    """On CIFAR-10 an epoch takes less time than one of training on BIM or PGD examples, by up to the sequel's margin."""
    savings = [_sequel_saving(figures, dear) for dear in _sequel_iter_adv(figures)]
    return _as_large_as(SEQUEL_SAVES_OF_BIM_ADV, max(savings, key=lambda saving: saving.ours.mean))


@claim(
    about=SEQUEL,
    where=SEQUEL_ABSTRACT,
    paper=f"at most {100 * SEQUEL_LOSES_TO_BIM_ADV:g} points less accurate",
    rule="At most those points below each of them that was trained under BIM(10) and BIM(30).",
)
def sequel_loses_little_to_bim_adv(figures: Figures) -> Iterable[Condition]:
    """On CIFAR-10 the method is hardly less accurate than those that are trained on BIM or PGD examples."""
    for defense, n in product(_sequel_iter_adv(figures), TABLE_1_BIM):
        yield figures.difference("cifar10", "proposed", defense, n).at_least(-SEQUEL_LOSES_TO_BIM_ADV)
