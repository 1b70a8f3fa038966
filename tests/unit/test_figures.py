from pathlib import Path

import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from advtrain.report.figures import figure_1, figure_2, save_figure, table_1_bars, transfer_map
from advtrain.results.parquet import evaluation_table
from advtrain.report.statistics import accuracy
from synthetic import outcome_row

DATASETS = {"mnist": "MNIST", "fmnist": "Fashion-MNIST"}
DEFENSES = {"vanilla": "Vanilla", "proposed": "Proposed", "bim10_adv": "BIM(10)-Adv"}
FAMILIES = {"vanilla": "none", "proposed": "single_adv", "bim10_adv": "iter_adv"}


def evaluations() -> pd.DataFrame:
    rows = []
    for dataset in DATASETS:
        for place, defense in enumerate(DEFENSES):
            for seed in (0, 1):
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                rows += [{**cell, **outcome_row("bim", 90 - n - 20 * place, 100, n)} for n in (1, 3, 5)]
                rows += [{**cell, **outcome_row("bim", 90 - i - 20 * place, 100, 10, iterate=i)} for i in range(11)]
    return evaluation_table(rows).to_pandas()


def lines(figure: Figure, panel: int) -> dict[str, list[tuple[float, float]]]:
    handles, labels = figure.axes[panel].get_legend_handles_labels()
    del handles
    drawn = [line for line in figure.axes[panel].lines if len(line.get_xdata()) > 2]
    return {
        label: list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for label, line in zip(labels, drawn, strict=True)
    }


def test_figure_1_has_a_panel_a_data_set_and_a_line_a_defense() -> None:
    figure = figure_1(evaluations(), DATASETS, DEFENSES)
    assert [axis.get_title() for axis in figure.axes] == ["(a) MNIST", "(b) Fashion-MNIST"]
    for panel in (0, 1):
        found = lines(figure, panel)
        assert list(found) == list(DEFENSES.values())
        assert found["Vanilla"] == [(1, 89), (3, 87), (5, 85), (10, 80)], "the trace's last iterate is BIM(10)"
        assert found["Proposed"] == [(1, 69), (3, 67), (5, 65), (10, 60)]


def test_figure_2_has_each_iterate_from_the_clean_image_on() -> None:
    rows = evaluations()
    figure = figure_2(rows[rows["iterations"] == 10], DATASETS, DEFENSES)
    assert lines(figure, 1)["BIM(10)-Adv"] == [(i, 50 - i) for i in range(11)]


def test_axes_are_labelled() -> None:
    rows = evaluations()
    trace = rows[rows["iterations"] == 10]
    for figure in (figure_1(rows, DATASETS, DEFENSES), figure_2(trace, DATASETS, DEFENSES)):
        for axis in figure.axes:
            assert "BIM" in axis.get_xlabel()
            assert axis.get_ylabel() == "Test accuracy (%)"


def test_classifiers_that_the_paper_does_not_draw_are_dashed() -> None:
    figure = figure_1(evaluations(), DATASETS, DEFENSES)
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    dashed = {label: line.is_dashed() for label, line in zip(DEFENSES.values(), drawn, strict=True)}
    assert dashed == {"Vanilla": False, "Proposed": True, "BIM(10)-Adv": False}


def test_lines_differ_in_marker_so_that_grey_is_enough() -> None:
    drawn = [line for line in figure_1(evaluations(), DATASETS, DEFENSES).axes[0].lines if len(line.get_xdata()) > 2]
    assert len({line.get_marker() for line in drawn}) == len(DEFENSES)


@pytest.fixture
def bars() -> Figure:
    rows = [
        {"defense": d, "title": t, "group": g, "column": c, "mean": m, "lower": m - 2, "upper": m + 1, "paper": m + 1}
        for d, t in DEFENSES.items()
        for g, c, m in (("MNIST", "FGSM", 90.0), ("MNIST", "BIM(10)", 80.0), ("Training time", "Relative to FGSM-Adv", 1.2))
    ]
    return table_1_bars(pd.DataFrame(rows), FAMILIES)


def bars_by_title(figure: Figure) -> dict[str, BarContainer]:
    return {bars.get_label(): bars for bars in figure.axes[0].containers if isinstance(bars, BarContainer)}


def test_bars_of_single_adv_are_blue_and_of_iter_adv_green(bars: Figure) -> None:
    by_title = {title: container.patches for title, container in bars_by_title(bars).items()}
    red, green, blue, _ = by_title["Proposed"][0].get_facecolor()
    assert blue > max(red, green)
    red, green, blue, _ = by_title["BIM(10)-Adv"][0].get_facecolor()
    assert green > max(red, blue)
    assert [patch.get_height() for patch in by_title["Proposed"]] == [90.0, 80.0]


def test_families_of_bars_differ_in_hatch_so_that_grey_is_enough(bars: Figure) -> None:
    hatches = {title: container.patches[0].get_hatch() for title, container in bars_by_title(bars).items()}
    assert len(set(hatches.values())) == 3, hatches


def test_the_paper_s_figures_are_marks_on_the_bars(bars: Figure) -> None:
    marks = [line for line in bars.axes[0].lines if line.get_marker() == "D"]
    assert [list(line.get_ydata()) for line in marks] == [[91.0, 81.0]] * 3
    assert all(colors.same_color(line.get_color(), "white") for line in marks)


def test_bars_have_their_intervals_as_lines(bars: Figure) -> None:
    (lines,) = bars_by_title(bars)["Proposed"].errorbar.lines[2]
    segments = lines.get_segments()
    assert [sorted(y for _, y in segment) for segment in segments] == [[88.0, 91.0], [78.0, 81.0]]


@pytest.mark.parametrize("seeds", [1, 2])
def test_lines_have_their_intervals_as_bands(seeds: int) -> None:
    rows = evaluations()
    figure = figure_1(rows[rows["seed"] < seeds], DATASETS, DEFENSES)
    at_5 = rows[(rows["dataset"] == "mnist") & (rows["defense"] == "proposed") & (rows["iterations"] == 5)]
    expected = accuracy(at_5[at_5["seed"] < seeds])
    band = figure.axes[0].collections[1].get_paths()[0].vertices
    heights = [y for x, y in band if x == 5]
    assert (min(heights), max(heights)) == (pytest.approx(100 * expected.lower), pytest.approx(100 * expected.upper))


def test_the_transfer_map_has_sources_as_rows_and_targets_as_columns() -> None:
    rows = [
        {"dataset": d, "seed": 0, "source": s, "target": t, "accuracy": 0.1 * i + 0.3 * j}
        for d in DATASETS
        for i, s in enumerate([*DEFENSES, "any other"])
        for j, t in enumerate(DEFENSES)
    ]
    figure = transfer_map(pd.DataFrame(rows), DATASETS, DEFENSES)
    assert [axis.get_title() for axis in figure.axes] == ["(a) MNIST: accuracy (%)", "(b) Fashion-MNIST: accuracy (%)"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(DEFENSES.values())
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0", "30", "60", "10", "40", "70", "20", "50", "80"]


@pytest.mark.parametrize("title", ["$x$", r"$\frac{1}$", "$5", r"\$5 and $6", r"\alpha_1 ^", "a $ b $ c $"])
def test_a_title_is_no_formula(title: str, tmp_path: Path) -> None:
    """The letters of an .svg are paths of some font, oblique in a formula, with a comment beside that says what they are."""
    save_figure(figure_1(evaluations(), {**DATASETS, "mnist": title}, {**DEFENSES, "proposed": title}), [tmp_path / "f.svg"])
    drawn = (tmp_path / "f.svg").read_text()
    assert f"<!-- (a) {title} -->" in drawn
    assert f"<!-- {title} -->" in drawn
    assert "Oblique" not in drawn


def test_equal_figures_give_equal_files_in_each_format(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        figure = figure_1(evaluations(), DATASETS, DEFENSES)
        save_figure(figure, [tmp_path / folder / f"figure1.{kind}" for kind in ("svg", "pdf", "png")])
    for kind, magic in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        one, two = ((tmp_path / folder / f"figure1.{kind}").read_bytes() for folder in ("one", "two"))
        assert one.startswith(magic)
        assert one == two, kind


def test_a_figure_says_where_its_figures_come_from(tmp_path: Path) -> None:
    origin = "small_cnn, 60,000 images; cpu; commit 0123456789"
    files = [tmp_path / f"figure1.{kind}" for kind in ("svg", "pdf", "png")]
    save_figure(figure_1(evaluations(), DATASETS, DEFENSES), files, origin)
    svg, pdf, png = (file.read_bytes() for file in files)
    assert f"<!-- {origin} -->".encode() in svg, "it is drawn"
    assert f"<dc:description>{origin}</dc:description>".encode() in svg
    assert f"/Subject ({origin})".encode() in pdf
    assert origin.encode() in png
