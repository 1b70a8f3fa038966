"""A figure with its interval against a threshold, and what the conditions of a claim say together."""

from dataclasses import replace

import pytest

from advtrain.report import verdicts
from advtrain.report.statistics import Estimate
from advtrain.report.verdicts import POINTS, Condition, Quantity, Verdict, least_certain


def of(lower: float, mean: float, upper: float, name: str = "") -> Quantity:
    """Of three seeds."""
    return Quantity(name, Estimate(mean, 0.01, lower, upper, 3, 10_000), POINTS)


def of_one_seed(quantity: Quantity) -> Quantity:
    return replace(quantity, ours=replace(quantity.ours, seeds=1))


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        (of(0.07, 0.08, 0.0999).below(0.1), True),
        (of(0.07, 0.08, 0.1).below(0.1), None),
        (of(0.1, 0.11, 0.12).below(0.1), False),
        (of(0.1, 0.11, 0.12).at_least(0.1), True),
        (of(0.09, 0.11, 0.12).at_least(0.1), None),
        (of(0.07, 0.08, 0.0999).at_least(0.1), False),
        (of(0.01, 0.02, 0.03).more_than_nothing(), True),
        (of(0.0, 0.02, 0.03).more_than_nothing(), None),
        (of(0.0, 0.0, 0.0).more_than_nothing(), False),
        (of(-0.01, 0.0, 0.01).within(0.01), True),
        (of(-0.011, 0.0, 0.01).within(0.01), None),
        (of(-0.03, -0.02, -0.011).within(0.01), False),
        (of(0.011, 0.02, 0.03).within(0.01), False),
        (of(-0.01, 0.0, 0.01).no_rise(), True),
        (of(-0.01, 0.001, 0.01).no_rise(), None),
        (of(0.001, 0.01, 0.02).no_rise(), False),
        (of(float("nan"), 0.5, float("nan")).at_least(0.1), None),
    ],
)
def test_a_condition_is_met_or_not_where_the_whole_interval_is_on_one_side(condition: Condition, met: bool | None) -> None:
    assert condition.met is met


@pytest.mark.parametrize("figure", [of(-0.3, -0.2, -0.1), of(0.0, 0.0, 0.0), of(0.1, 0.2, 0.3)])
def test_one_seed_leaves_every_condition_open_whatever_the_images_say(figure: Quantity) -> None:
    conditions = (
        lambda one: one.below(0.01),
        lambda one: one.more_than_nothing(),
        lambda one: one.at_least(0.01),
        lambda one: one.within(0.05),
        lambda one: one.no_rise(),
    )
    assert None not in [condition(figure).met for condition in conditions]
    assert [condition(of_one_seed(figure)).met for condition in conditions] == [None] * 5


def condition(met: bool | None, room: float = 0.0) -> Condition:
    return Condition(of(0, 0, 0), "", met, room)


@pytest.mark.parametrize(
    ("met", "said"),
    [
        ((True, True), Verdict.HOLDS),
        ((True, None, False), Verdict.IN_PART),
        ((False, False), Verdict.DOES_NOT_HOLD),
        ((None, False), Verdict.DOES_NOT_HOLD),
        ((True, None), Verdict.CANNOT_BE_TOLD),
    ],
)
def test_the_conditions_give_the_verdict(met: tuple[bool | None, ...], said: Verdict) -> None:
    assert verdicts.verdict([condition(one) for one in met]) == said


def test_the_least_certain_condition_is_one_not_met_then_an_open_one_then_that_of_least_room() -> None:
    wide, narrow, is_open, fails = condition(True, 0.5), condition(True, 0.1), condition(None, 0.2), condition(False, -0.1)
    assert least_certain([wide, narrow]) is narrow
    assert least_certain([wide, is_open, narrow]) is is_open
    assert least_certain([is_open, fails, wide]) is fails


def test_a_condition_reads_as_a_figure_its_interval_what_it_rests_on_and_its_threshold() -> None:
    ours = of(0.005, 0.0123, 0.02, "Ours less theirs")
    line = "Ours less theirs: +1.23 points (+0.50 to +2.00) of 3 seeds, 10,000 images, at least -1.00 points: met"
    assert str(ours.at_least(-0.01)) == line
    one = "Ours less theirs: +1.23 points (images: +0.50 to +2.00) of 1 seed, 10,000 images, at least -1.00 points: open"
    assert str(of_one_seed(ours).at_least(-0.01)) == one
