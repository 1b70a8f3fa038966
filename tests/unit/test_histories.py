import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.figure import Figure

from advtrain.report.figures import CURVE_COLOURS
from advtrain.report.training_curves import histories_figure

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {"vanilla": "Vanilla", "proposed": "Proposed", "bim10_adv": "BIM(10)-Adv"}
EPOCHS = 40


def histories(seeds: tuple[int, ...] = (0, 1, 2)) -> pd.DataFrame:
    """Each seed is 2 points above the one before, each defense 20, and each data set 1; Vanilla makes no example."""
    return pd.DataFrame(
        {
            "dataset": dataset,
            "defense": defense,
            "seed": seed,
            "epoch": epoch,
            "robust_accuracy": (epoch + 2 * seed + 20 * place + offset) / 100,
            "adversarial_accuracy": float("nan") if defense == "vanilla" else (50 - epoch + 2 * seed + 20 * place) / 100,
        }
        for offset, dataset in enumerate(DATASETS)
        for place, defense in enumerate(DEFENSES)
        for seed in seeds
        for epoch in range(1, EPOCHS + 1)
    )


@pytest.fixture
def figure() -> Figure:
    return histories_figure(histories(), DATASETS, DEFENSES, iterations=7)


def curves(figure: Figure, panel: int) -> list[list[float]]:
    """Height of each curve at each epoch, without the line of chance."""
    drawn = [line for line in figure.axes[panel].lines if len(line.get_xdata()) == EPOCHS]
    assert all(list(line.get_xdata()) == list(range(1, EPOCHS + 1)) for line in drawn)
    return [list(line.get_ydata()) for line in drawn]


def test_a_column_is_a_data_set_and_its_panels_are_the_attack_from_outside_and_the_defense_s_own(figure: Figure) -> None:
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["(a) MNIST", "(b) Fashion-MNIST", "(c) MNIST", "(d) Fashion-MNIST"]
    for axis in figure.axes:
        assert axis.get_xlabel() == "Epoch"
    assert [("BIM(7)" in axis.get_ylabel(), "own" in axis.get_ylabel()) for axis in figure.axes] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]


def test_a_line_is_the_mean_over_seeds_in_percent(figure: Figure) -> None:
    for panel in (0, 1):
        expected = [[epoch + 2 + 20 * place + panel for epoch in range(1, EPOCHS + 1)] for place in range(3)]
        for curve, values in zip(curves(figure, panel), expected, strict=True):
            assert curve == pytest.approx(values)


def test_a_defense_without_examples_of_its_own_has_no_line_below(figure: Figure) -> None:
    drawn = curves(figure, 2)
    assert [curve[0] for curve in drawn] == pytest.approx([49 + 2 + 20, 49 + 2 + 40])


def test_a_band_goes_from_the_lowest_seed_to_the_highest(figure: Figure) -> None:
    bands = figure.axes[0].collections
    assert len(bands) == len(DEFENSES)
    corners = bands[0].get_paths()[0].vertices
    at_epoch_5 = corners[corners[:, 0] == 5][:, 1]
    assert (at_epoch_5.min(), at_epoch_5.max()) == pytest.approx((5, 9))


def test_one_seed_has_no_band() -> None:
    figure = histories_figure(histories(seeds=(0,)), DATASETS, DEFENSES, iterations=7)
    assert all(len(band.get_paths()) == 0 for axis in figure.axes for band in axis.collections)


def test_the_legend_names_each_defense_in_the_colour_that_figure_1_gives_it(figure: Figure) -> None:
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(DEFENSES.values())
    for handle, colour in zip(legend.legend_handles, CURVE_COLOURS, strict=False):
        assert colors.same_color(handle.get_color(), colour)


def test_lines_differ_in_marker_so_that_grey_is_enough_and_a_long_training_has_few_of_them(figure: Figure) -> None:
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) == EPOCHS]
    assert len({line.get_marker() for line in drawn}) == len(DEFENSES)
    assert all(line.get_markevery() == 5 for line in drawn)
