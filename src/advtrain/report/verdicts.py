"""Conditions: a figure of ours, with its 95% interval, against a threshold; and what the conditions of a claim say together.

A condition is met where the whole interval is on the threshold's right side, not met where the whole interval is on its wrong
side, and open where the interval contains the threshold, or is not known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

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

    quantity: str
    """What the figure is, in words."""
    ours: Estimate
    """As a fraction; the page has it in `unit`."""
    unit: str
    """`PERCENT`, or `POINTS` for a difference, which has a sign."""
    wanted: str
    """The threshold, in words."""
    met: bool | None
    """None where it is open."""
    room: float
    """How far the figure itself lies on the right side; negative on the wrong one."""

    @property
    def figure(self) -> str:
        """The figure and its interval, as text."""
        sign = "+" if self.unit == POINTS else ""
        mean, lower, upper = (f"{100 * value:{sign}.2f}" for value in (self.ours.mean, self.ours.lower, self.ours.upper))
        interval = f"{lower} to {upper}" if lower != "nan" else "interval not known, too few rounds"
        return f"{mean}{self.unit} ({interval})"

    @property
    def answer(self) -> str:
        """Met, not met or open."""
        return {True: "met", False: "not met", None: "open"}[self.met]

    def __str__(self) -> str:
        """The condition as a line of text."""
        return f"{self.quantity}: {self.figure}, {self.wanted}: {self.answer}"


def below(quantity: str, ours: Estimate, threshold: float) -> Condition:
    """An accuracy is below a threshold, all as fractions."""
    met = _side(right=ours.upper < threshold, wrong=ours.lower >= threshold)
    return Condition(quantity, ours, PERCENT, f"below {100 * threshold:g}%", met, threshold - ours.mean)


def more_than_nothing(quantity: str, ours: Estimate, unit: str) -> Condition:
    """A difference or a saving is above 0."""
    met = _side(right=ours.lower > 0, wrong=ours.upper <= 0)
    return Condition(quantity, ours, unit, "more than 0", met, ours.mean)


def at_least(quantity: str, ours: Estimate, threshold: float, unit: str) -> Condition:
    """A difference or a saving is a threshold or more."""
    met = _side(right=ours.lower >= threshold, wrong=ours.upper < threshold)
    return Condition(quantity, ours, unit, f"at least {100 * threshold:.2f}{unit}", met, ours.mean - threshold)


def within(quantity: str, ours: Estimate, tolerance: float) -> Condition:
    """A difference of two accuracies is `tolerance` or less to either side."""
    met = _side(
        right=-tolerance <= ours.lower and ours.upper <= tolerance, wrong=ours.upper < -tolerance or ours.lower > tolerance
    )
    return Condition(quantity, ours, POINTS, f"within ±{100 * tolerance:.2f} points", met, tolerance - abs(ours.mean))


def no_rise(quantity: str, ours: Estimate) -> Condition:
    """A difference of two accuracies shows no rise: none seen is met, one whose interval contains 0 is open.

    Unlike the other conditions it asks no certainty where nothing rose: an accuracy that stays where it is would never be
    certain not to rise.
    """
    met = _side(right=ours.mean <= 0, wrong=ours.lower > 0)
    return Condition(quantity, ours, POINTS, "no rise", met, -ours.mean)


def least_certain(conditions: Iterable[Condition]) -> Condition:
    """The one condition that tells whether all are met: one that is not met, else one that is open, else that of least room."""
    return min(conditions, key=lambda condition: ((False, None, True).index(condition.met), condition.room))


def verdict(conditions: Sequence[Condition]) -> Verdict:
    """What is said of a claim, which is that all of its conditions are met.

    Where some are not met and none is met it does not hold, even if others are open: an open one shows no part that holds.
    """
    met = {condition.met for condition in conditions}
    if met == {True}:
        return Verdict.HOLDS
    if False not in met:
        return Verdict.CANNOT_BE_TOLD
    return Verdict.IN_PART if True in met else Verdict.DOES_NOT_HOLD


def _side(*, right: bool, wrong: bool) -> bool | None:
    if right:
        return True
    return False if wrong else None
