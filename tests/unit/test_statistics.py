"""Means and intervals over seeds; one seed has none, but for one over images where it has a part of them."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advtrain.evaluation.table import evaluation_row
from advtrain.report.statistics import TEST_IMAGES, accuracy, contrast, difference, median_of_repeats, one_more_run
from advtrain.system.errors import InputError
from synthetic import outcome_row


def rows(*correct: int, examples: int = 1000) -> pd.DataFrame:
    """A figure's rows, one for each seed."""
    return pd.DataFrame([{"seed": seed, **outcome_row("bim", right, examples, 10)} for seed, right in enumerate(correct)])


def test_over_seeds_the_interval_is_student_s() -> None:
    found = accuracy(rows(900, 920, 940))
    expected = stats.ttest_1samp([0.90, 0.92, 0.94], 0).confidence_interval(0.95)
    assert (found.mean, found.std, found.seeds) == pytest.approx((0.92, 0.02, 3))
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))


def test_of_one_seed_on_a_part_of_the_images_the_interval_is_wilson_s_over_images() -> None:
    """Wilson 1927, worked by hand for 81 of 263 (the example of Newcombe 1998): 0.2553 to 0.3662."""
    found = accuracy(rows(81, examples=263))
    assert math.isnan(found.std)
    assert (found.lower, found.upper) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert accuracy(rows(0)).lower == 0
    assert 0.003 < accuracy(rows(0)).upper < 0.005, "0 of 1,000 is not a certain 0"


def test_of_one_seed_on_all_test_images_nothing_has_an_interval() -> None:
    """They are the paper's images too: no sampling of images is left, and nothing is known of another training."""
    all_of_them, others = rows(9000, examples=TEST_IMAGES), rows(8000, examples=TEST_IMAGES)
    for found, mean in ((accuracy(all_of_them), 0.9), (difference(all_of_them, others), 0.1)):
        assert found.mean == pytest.approx(mean)
        assert [math.isnan(value) for value in (found.std, found.lower, found.upper)] == [True] * 3
    part = difference(all_of_them, rows(700))
    assert (part.lower < part.mean < part.upper, part.basis) == (True, "1 seed, 1,000 images"), "both have a part in common"
    two = accuracy(rows(9000, 9010, examples=TEST_IMAGES))
    assert (two.lower < two.mean < two.upper, two.basis) == (True, "2 seeds, 10,000 images")


@pytest.mark.parametrize("n", [2, 3, 5])
def test_95_of_100_times_one_more_run_lies_in_the_prediction_interval_and_less_often_in_that_of_the_mean(n: int) -> None:
    runs = np.random.default_rng(0).normal(0.6, 0.05, (40_000, n + 1))
    mean, std = runs[:, :n].mean(axis=1), runs[:, :n].std(axis=1, ddof=1)
    off = np.abs(runs[:, n] - mean)
    half = one_more_run(pd.Series(std), pd.Series(n, range(len(std))))
    assert np.mean(off <= half) == pytest.approx(0.95, abs=0.005)
    assert np.mean(off <= half / math.sqrt(n + 1)) < 0.93


def test_one_more_run_than_three_is_worked_by_hand_and_of_one_seed_nothing_is_known() -> None:
    """t of 2 degrees of freedom is 4.303 (any table): 4.303 * 2 * sqrt(4 / 3)."""
    found = one_more_run(pd.Series([2.0, math.nan]), pd.Series([3, 1]))
    assert found[0] == pytest.approx(9.937, abs=0.001)
    assert math.isnan(found[1])


def test_a_difference_is_paired_by_seed() -> None:
    """Seeds that are good or bad for both methods take nothing from the certainty of the difference."""
    found = difference(rows(900, 700, 800), rows(890, 692, 788))
    assert (found.mean, found.std) == pytest.approx((0.01, 0.002))
    assert found.lower > 0


def test_of_one_seed_a_difference_is_paired_by_image() -> None:
    """Agresti and Min 2005: half an image added to each of the four cells, here of 1,000 images with 30 and 10 discordant."""
    image = np.arange(1000)
    a, b = image < 530, (image < 500) | (image >= 990)
    first, second = (
        pd.DataFrame([{"seed": 0, **evaluation_row("bim", right, epsilon=0.3, step_size=0.03, iterations=10)}])
        for right in (a, b)
    )
    found = difference(first, second)
    centre, half = 20 / 1002, 1.959964 * math.sqrt(41 - 20**2 / 1002) / 1002
    assert found.mean == pytest.approx(0.02)
    assert (found.lower, found.upper) == pytest.approx((centre - half, centre + half))
    same = difference(first, first)
    assert same.lower < same.mean == 0 < same.upper, "who agree on every image are not certain to be equal"


def test_only_the_images_that_both_are_about_count_with_one_seed_and_with_several() -> None:
    assert difference(rows(700), rows(50, examples=100)).mean == pytest.approx(0.5)
    assert difference(rows(700, 710), rows(50, 60, examples=100)).mean == pytest.approx(0.45)


def test_an_interval_over_seeds_stays_within_what_accuracies_can_be() -> None:
    assert accuracy(rows(0, 0, 0, 0, 5)).lower == 0
    assert accuracy(rows(1000, 1000, 995)).upper == 1


def test_a_contrast_weighs_its_terms() -> None:
    found = contrast([(0.5, rows(980)), (-1.0, rows(700)), (0.5, rows(600))])
    assert found.mean == pytest.approx(0.5 * 0.98 - 0.7 + 0.5 * 0.6)
    assert -1 <= found.lower < found.mean < found.upper <= 1


def test_a_median_s_interval_is_from_order_statistics_which_five_repeats_do_not_give() -> None:
    """Of 20 the 6th and the 15th (Conover 1999, the sign test's binomial), and one outlier moves neither."""
    values = np.arange(1.0, 21.0)
    values[-1] = 1e6
    found = median_of_repeats(values)
    assert (found.mean, found.lower, found.upper) == (10.5, 6, 15)
    few, enough = median_of_repeats(np.arange(5.0)), median_of_repeats(np.arange(6.0))
    assert (found.basis, few.basis) == ("20 rounds", "5 rounds")
    assert (few.mean, math.isnan(few.lower), math.isnan(few.upper)) == (2, True, True)
    assert (enough.lower, enough.upper) == (0, 5)


@pytest.mark.parametrize("wrong", [rows(1).iloc[:0], pd.concat([rows(1), rows(2)])])
def test_a_figure_has_one_row_for_each_seed(wrong: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="one row for each seed"):
        accuracy(wrong)


def test_only_the_seeds_that_both_have_are_paired() -> None:
    three, two = rows(900, 912, 500), rows(890, 900)
    assert difference(three, two) == difference(three.iloc[:2], two)
    assert difference(three, two.iloc[1:]) == difference(three.iloc[1:2], two.iloc[1:])
    with pytest.raises(InputError, match="seed in common"):
        difference(three.iloc[2:], two)
