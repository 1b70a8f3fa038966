"""Conditions: a figure of ours, with its 95% interval, against a threshold; and what the conditions of a claim say together.

A condition is met where the whole interval is on the threshold's right side, not met where the whole interval is on its wrong
side, and open where the interval contains the threshold, or is not known, or is over the images of one seed.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from advtrain.report.pages import bracketed
from advtrain.report.statistics import Estimate

PERCENT = "%"
POINTS = " points"


class Verdict(StrEnum):
    """What is said of a claim."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    DOES_NOT_HOLD = "does not hold"
    CANNOT_BE_TOLD = "cannot be told"


@dataclass(frozen=True)
class Condition:
    """A figure of ours against a threshold."""

    quantity: "Quantity"
    wanted: str
    """The threshold, in words."""
    met: bool | None
    """None where it is open."""
    room: float
    """How far the figure itself lies on the right side; negative on the wrong one."""

    @property
    def answer(self) -> str:
        """`met`, in words."""
        return {True: "met", False: "not met", None: "open"}[self.met]

    def __str__(self) -> str:
        """The condition as a line of text."""
        ours = self.quantity.ours
        return f"{self.quantity.name}: {self.quantity.figure} of {ours.basis}, {self.wanted}: {self.answer}"


@dataclass(frozen=True)
class Quantity:
    """A figure of ours, which can be held against a threshold; figure and threshold are fractions."""

    name: str
    ours: Estimate
    unit: str
    """On the page: `PERCENT`, or `POINTS` for a difference, which has a sign."""

    @property
    def figure(self) -> str:
        """The figure and its interval, as text."""
        form = "+.2f" if self.unit == POINTS else ".2f"
        return f"{100 * self.ours.mean:{form}}{self.unit}{bracketed(self.ours.percent(), form)}"

    def below(self, threshold: float) -> Condition:
        """It is less than a threshold."""
        return self._between(-math.inf, threshold, f"below {100 * threshold:g}{self.unit}", strictly=True)

    def more_than_nothing(self) -> Condition:
        """It is more than 0."""
        return self._between(0, math.inf, "more than 0", strictly=True)

    def at_least(self, threshold: float) -> Condition:
        """It is a threshold or more."""
        return self._between(threshold, math.inf, f"at least {100 * threshold:.2f}{self.unit}")

    def within(self, tolerance: float) -> Condition:
        """It is `tolerance` or less to either side of 0."""
        return self._between(-tolerance, tolerance, f"within ±{100 * tolerance:.2f}{self.unit}")

    def no_rise(self) -> Condition:
        """It shows no rise: none seen is met, one whose interval contains 0 is open.

        Unlike the other conditions it asks no certainty where nothing rose: an accuracy that stays where it is would never be
        certain not to rise.
        """
        met = True if self.ours.mean <= 0 else False if self.ours.lower > 0 else None
        return Condition(self, "no rise", met if self.ours.repeated else None, -self.ours.mean)

    def _between(self, low: float, high: float, wanted: str, *, strictly: bool = False) -> Condition:
        """It lies between two bounds, or on one of them unless `strictly`."""
        before, after = (operator.lt, operator.ge) if strictly else (operator.le, operator.gt)
        lower, mean, upper = self.ours.lower, self.ours.mean, self.ours.upper
        inside = before(low, lower) and before(upper, high)
        outside = after(low, upper) or after(lower, high)
        met = True if inside else False if outside else None
        return Condition(self, wanted, met if self.ours.repeated else None, min(mean - low, high - mean))


def least_certain(conditions: Iterable[Condition]) -> Condition:
    """The one condition that tells whether all are met: one that is not met, else one that is open, else that of least room."""
    return min(conditions, key=lambda condition: ((False, None, True).index(condition.met), condition.room))


def verdict(conditions: Sequence[Condition]) -> Verdict:
    """What is said of a claim, which is that all of its conditions are met; without conditions it cannot be told.

    Where some are not met and none is met it does not hold, even if others are open: an open one shows no part that holds.
    """
    met = {condition.met for condition in conditions}
    if met == {True}:
        return Verdict.HOLDS
    if False not in met:
        return Verdict.CANNOT_BE_TOLD
    return Verdict.IN_PART if True in met else Verdict.DOES_NOT_HOLD
