"""Training histories as curves: under an attack from outside, and on the adversarial examples that the defense makes."""

import itertools

import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.figure import Figure

from advtrain.report.style import CURVE_COLOURS, styles
from advtrain.report.training_curves import histories_figure
from evaluated import DATASETS, labels_of

LABELS = labels_of("vanilla", "proposed", "bim10_adv")
EPOCHS = range(1, 41)


def drawn(seeds: tuple[int, ...] = (0, 1, 2)) -> Figure:
    """Each seed is 2 points above the one before, each defense 20, and each data set 1; Vanilla makes no example."""
    rows = []
    for offset, dataset in enumerate(DATASETS):
        for (place, defense), seed, epoch in itertools.product(enumerate(LABELS.defenses), seeds, EPOCHS):
            more = 2 * seed + 20 * place
            own = float("nan") if defense == "vanilla" else (50 - epoch + more) / 100
            rows.append((dataset, defense, seed, epoch, (epoch + more + offset) / 100, own, (epoch - seed) / 40))
    columns = ["dataset", "defense", "seed", "epoch", "pgd_accuracy", "adversarial_accuracy", "alignment"]
    return histories_figure(pd.DataFrame(rows, columns=columns), LABELS, iterations=7)


def curves(figure: Figure, panel: int) -> list[list[float]]:
    """Height of each curve at each epoch, without the line of chance."""
    lines = [line for line in figure.axes[panel].lines if len(line.get_xdata()) == len(EPOCHS)]
    assert all(list(line.get_xdata()) == list(EPOCHS) for line in lines)
    return [list(line.get_ydata()) for line in lines]


def test_a_column_is_a_data_set_and_its_panels_are_pgd_the_defense_s_own_examples_and_the_cosine() -> None:
    axes = drawn().axes
    assert [axis.get_title() for axis in axes[:4]] == ["(a) MNIST", "(b) Fashion-MNIST", "(c) MNIST", "(d) Fashion-MNIST"]
    for row, words in enumerate(("PGD(7)", "own", "Cosine")):
        assert [words in axis.get_ylabel() for axis in axes] == [place // 2 == row for place in range(6)]


def test_the_cosine_is_drawn_as_it_is_with_room_for_the_lowest() -> None:
    figure = drawn()
    assert curves(figure, 5)[0] == pytest.approx([(epoch - 1) / 40 for epoch in EPOCHS])
    assert figure.axes[5].get_ylim() == pytest.approx((-1 / 40 - 0.03, 1.03))


def test_a_line_is_the_mean_over_seeds_in_percent_and_a_defense_that_makes_no_examples_has_none_below() -> None:
    figure = drawn()
    for panel in (0, 1):
        for place, curve in enumerate(curves(figure, panel)):
            assert curve == pytest.approx([epoch + 2 + 20 * place + panel for epoch in EPOCHS])
    assert [curve[0] for curve in curves(figure, 2)] == pytest.approx([49 + 2 + 20, 49 + 2 + 40])


def test_a_band_is_from_the_lowest_seed_to_the_highest_and_that_of_one_seed_has_no_height() -> None:
    for figure, highest in ((drawn(), 9), (drawn(seeds=(0,)), 5)):
        corners = figure.axes[0].collections[0].get_paths()[0].vertices
        at_epoch_5 = corners[corners[:, 0] == 5][:, 1]
        assert (at_epoch_5.min(), at_epoch_5.max()) == pytest.approx((5, highest))


def test_each_defense_has_another_marker_and_the_colour_that_figure_1_gives_it() -> None:
    figure = drawn()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LABELS.defenses.values())
    for handle, colour in zip(legend.legend_handles, CURVE_COLOURS, strict=False):
        assert colors.same_color(handle.get_color(), colour)
    lines = figure.axes[0].lines[: len(LABELS.defenses)]
    assert len({line.get_marker() for line in lines}) == len(LABELS.defenses), "grey is enough to tell them apart"


def test_thirty_classifiers_have_a_style_of_their_own_each() -> None:
    looks = {(tuple(style["color"]), style["marker"]) for _, style in styles({str(n): str(n) for n in range(30)})}
    assert len(looks) == 30
