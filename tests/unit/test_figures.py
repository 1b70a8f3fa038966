"""Figures 1 and 2, Table I as bars, the transfer matrices, and how a figure is saved."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from advtrain.report.columns import RATIO, TIME
from advtrain.report.figures import figure_1, figure_2, table_1_bars, transfer_map
from advtrain.report.statistics import accuracy
from advtrain.report.style import save_figure
from advtrain.results.code import SRC
from cli.figure import write_figure
from cli.report import Report
from evaluated import DATASETS, labels_of
from synthetic import outcome_row

LABELS = labels_of("vanilla", "proposed", "bim10_adv")
TITLES = list(LABELS.defenses.values())


def evaluations(apart: int = 0) -> pd.DataFrame:
    """Two seeds, of which the second is right on `apart` images more."""
    rows = []
    for dataset in DATASETS:
        for place, defense in enumerate(LABELS.defenses):
            for seed in (0, 1):
                cell = {"dataset": dataset, "defense": defense, "seed": seed}
                rows += [{**cell, **outcome_row("bim", 90 - n - 20 * place + apart * seed, 100, n)} for n in (1, 3, 5)]
                rows += [{**cell, **outcome_row("bim", 90 - i - 20 * place, 100, 10, iterate=i)} for i in range(11)]
    return pd.DataFrame(rows)


@pytest.fixture
def figure() -> Figure:
    return figure_1(evaluations(), LABELS)


def lines(figure: Figure, panel: int) -> dict[str, Line2D]:
    """A panel's curves, by title; the line of chance is none."""
    titled = {line.get_label(): line for line in figure.axes[panel].lines if len(line.get_xdata()) > 2}
    assert list(titled) == TITLES
    return titled


def test_figure_1_has_a_panel_for_each_data_set_and_a_line_for_each_defense(figure: Figure) -> None:
    assert [axis.get_title() for axis in figure.axes] == ["(a) MNIST", "(b) Fashion-MNIST"]
    for panel in (0, 1):
        found = lines(figure, panel)
        assert found["Vanilla"].get_xydata().tolist() == [[1, 89], [3, 87], [5, 85], [10, 80]], "the trace ends with BIM(10)"
        assert found["Proposed"].get_xydata().tolist() == [[1, 69], [3, 67], [5, 65], [10, 60]]


def test_figure_2_has_each_iterate_from_the_clean_image_on() -> None:
    figure = figure_2(evaluations(), LABELS, 10)
    assert "BIM(10)" in figure.axes[1].get_xlabel()
    assert lines(figure, 1)["BIM(10)-Adv"].get_xydata().tolist() == [[i, 50 - i] for i in range(11)]


def test_lines_differ_in_marker_and_those_that_the_paper_does_not_draw_are_dashed(figure: Figure) -> None:
    drawn = lines(figure, 0)
    assert len({line.get_marker() for line in drawn.values()}) == 3, "grey is enough to tell them apart"
    assert [line.is_dashed() for line in drawn.values()] == [False, True, False]


def test_lines_have_their_intervals_over_seeds_as_bands() -> None:
    rows = evaluations(apart=1)
    expected = accuracy(rows[(rows["dataset"] == "mnist") & (rows["defense"] == "proposed") & (rows["iterations"] == 5)])
    band = figure_1(rows, LABELS).axes[0].collections[1].get_paths()[0].vertices
    heights = [y for x, y in band if x == 5]
    assert (min(heights), max(heights)) == pytest.approx((100 * expected.lower, 100 * expected.upper))


def test_lines_of_one_seed_have_no_band() -> None:
    """An interval over images would look like one over trainings."""
    rows = evaluations()
    figure = figure_1(rows[rows["seed"] == 0], LABELS)
    assert [len(path.vertices) for axis in figure.axes for band in axis.collections for path in band.get_paths()] == []
    assert lines(figure, 0)["Proposed"].get_xydata().tolist() == [[1, 69], [3, 67], [5, 65], [10, 60]]


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        {"defense": d, "title": t, "group": g, "column": c, "mean": m, "paper": m + 1, "chance": 12, **spread}
        for d, t in LABELS.defenses.items()
        for g, c, m, seeds in (("MNIST", "FGSM", 90.0, 3), ("MNIST", "BIM(10)", 80.0, 1), (TIME, RATIO, 1.2, float("nan")))
        for spread in [{"lower": m - 2, "upper": m + 1, "seeds": seeds}]
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def bars(table: pd.DataFrame) -> Figure:
    return table_1_bars(table, LABELS)


def test_bars_show_the_means_with_their_intervals_over_seeds_and_the_paper_s_figures_as_marks(bars: Figure) -> None:
    """Under BIM(10) there is one seed, and so no interval."""
    (proposed,) = (group for group in bars.axes[0].containers if group.get_label() == "Proposed")
    (intervals,) = proposed.errorbar.lines[2]
    assert [patch.get_height() for patch in proposed] == [90.0, 80.0]
    fgsm, bim10 = (sorted(y for _, y in segment) for segment in intervals.get_segments())
    assert (fgsm, bim10) == ([88.0, 91.0], [])
    marks = [line for line in bars.axes[0].lines if line.get_marker() == "D"]
    assert [list(line.get_ydata()) for line in marks] == [[91.0, 81.0]] * 3


def test_a_data_set_that_the_paper_does_not_have_has_no_marks_of_the_paper(bars: Figure, table: pd.DataFrame) -> None:
    ours = table_1_bars(table.assign(paper=float("nan")), LABELS)
    titles = [{text.get_text() for text in figure.legends[0].get_texts()} for figure in (bars, ours)]
    assert titles == [{*TITLES, "Paper"}, set(TITLES)]


def test_the_legend_of_many_classifiers_on_one_data_set_is_within_the_figure(table: pd.DataFrame) -> None:
    titles = {f"method{number}": f"Method number {number}" for number in range(9)}
    rows = table[table["defense"] == "proposed"]
    many = pd.concat([rows.assign(defense=name, title=title) for name, title in titles.items()])
    labels = replace(LABELS, datasets={"mnist": "MNIST"}, defenses=titles, families=dict.fromkeys(titles, "single_adv"))
    curves = evaluations()
    curves = pd.concat([curves[curves["defense"] == "proposed"].assign(defense=name) for name in titles])
    for figure in (table_1_bars(many, labels), figure_1(curves, labels)):
        figure.canvas.draw()
        shown, whole = figure.legends[0].get_window_extent(), figure.bbox
        assert (shown.x0 >= whole.x0, shown.x1 <= whole.x1) == (True, True)


def test_without_a_time_of_fgsm_adv_there_is_no_panel_of_ratios_to_it(bars: Figure, table: pd.DataFrame) -> None:
    """The paper's ratios alone would fill it."""
    unknown = table.assign(mean=table["mean"].where(table["column"] != RATIO))
    panels = [[axis.get_title() for axis in figure.axes] for figure in (bars, table_1_bars(unknown, LABELS))]
    assert panels == [["(a) MNIST", f"(b) {TIME}"], ["(a) MNIST"]]


def test_the_dotted_line_is_at_the_share_of_the_commonest_label(figure: Figure, bars: Figure) -> None:
    for axis in (*figure.axes, bars.axes[0]):
        (dotted,) = (line for line in axis.lines if line.get_linestyle() == ":")
        assert list(dotted.get_ydata()) == [12, 12]


def test_bars_of_single_adv_are_blue_and_of_iter_adv_green_and_hatches_tell_in_grey(bars: Figure) -> None:
    vanilla, proposed, bim = (group[0] for group in bars.axes[0].containers if isinstance(group, BarContainer))
    red, green, blue, _ = proposed.get_facecolor()
    assert blue > max(red, green)
    red, green, blue, _ = bim.get_facecolor()
    assert green > max(red, blue)
    assert len({patch.get_hatch() for patch in (vanilla, proposed, bim)}) == 3


def test_the_transfer_map_has_sources_as_rows_and_targets_as_columns() -> None:
    rows = [
        {"dataset": d, "seed": 0, "source": s, "target": t, "accuracy": 0.1 * i + 0.3 * j}
        for d in DATASETS
        for i, s in enumerate([*LABELS.defenses, "any other"])
        for j, t in enumerate(LABELS.defenses)
    ]
    figure = transfer_map(pd.DataFrame(rows), LABELS)
    assert [axis.get_title() for axis in figure.axes] == ["(a) MNIST: accuracy (%)", "(b) Fashion-MNIST: accuracy (%)"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == TITLES
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "30", "60", "10", "40", "70", "20", "50", "80"]


def test_a_classifier_from_elsewhere_is_drawn_on_its_data_sets_and_in_every_legend() -> None:
    labels = labels_of("vanilla", "proposed", "bim10_adv", external={"proposed": ("fmnist",)})
    rows = evaluations()
    figure = figure_1(rows[(rows["defense"] != "proposed") | (rows["dataset"] == "fmnist")], labels)
    drawn = [{line.get_label() for line in axis.lines if len(line.get_xdata()) > 2} & set(TITLES) for axis in figure.axes]
    assert [len(titles) for titles in drawn] == [2, 3]
    bars = pd.DataFrame(
        {
            "defense": d,
            "title": t,
            "group": g,
            "column": c,
            "mean": 50.0,
            "lower": 40.0,
            "upper": 60.0,
            "seeds": 2,
            "paper": 51.0,
        }
        | {"chance": 12}
        for d, t in labels.defenses.items()
        for g, c in (("MNIST", "FGSM"), ("Fashion-MNIST", "FGSM"), (TIME, RATIO))
        if d != "proposed" or g == "Fashion-MNIST"
    )
    for each in (figure, table_1_bars(bars, labels)):
        assert {text.get_text() for text in each.legends[0].get_texts()} >= set(TITLES)
    matrices = pd.DataFrame(
        {"dataset": dataset, "seed": 0, "source": source, "target": target, "accuracy": 0.5}
        for dataset in DATASETS
        for source in labels.on(dataset)
        for target in labels.on(dataset)
    )
    assert [len(axis.get_yticklabels()) for axis in transfer_map(matrices, labels).axes] == [2, 3]


@pytest.mark.parametrize("title", ["$x$", "$5", r"\$5 and $6", r"\alpha_1 ^", "a $ b $ c $"])
def test_a_title_is_no_formula(title: str, tmp_path: Path) -> None:
    """The letters of an .svg are paths of some font, oblique in a formula, with a comment that says what they are."""
    labels = labels_of(datasets={**DATASETS, "mnist": title}, defenses={**LABELS.defenses, "proposed": title})
    save_figure(figure_1(evaluations(), labels), [tmp_path / "f.svg"], "")
    drawn = (tmp_path / "f.svg").read_text()
    assert f"<!-- (a) {title} -->" in drawn
    assert f"<!-- {title} -->" in drawn
    assert "Oblique" not in drawn


def test_equal_figures_give_equal_files_that_say_what_they_were_made_with(tmp_path: Path) -> None:
    origin = "small_cnn, 60,000 images; cpu; commit 0123456789"
    for folder in ("one", "two"):
        save_figure(
            figure_1(evaluations(), LABELS), [tmp_path / folder / f"f.{kind}" for kind in ("svg", "pdf", "png")], origin
        )
    for kind, said in (("svg", f"<dc:description>{origin}<"), ("pdf", f"/Subject ({origin})"), ("png", origin)):
        one, two = ((tmp_path / folder / f"f.{kind}").read_bytes() for folder in ("one", "two"))
        assert one == two, kind
        assert said.encode() in one
    assert f"<!-- {origin} -->" in (tmp_path / "one" / "f.svg").read_text(), "it is drawn"


def test_a_figure_of_some_defenses_says_nothing_of_how_the_others_were_trained(tmp_path: Path) -> None:
    labels = labels_of("atda", "proposed", departures={"atda": "batch_size 32", "proposed": "epochs 40"})
    report = Report(labels, (tmp_path / "f.svg",), {})
    write_figure(figure_1(evaluations(), LABELS), report.about(["proposed"]))
    drawn = (tmp_path / "f.svg").read_text()
    assert "epochs 40" in drawn
    assert "batch_size 32" not in drawn


def test_a_figure_looks_the_same_whatever_the_user_s_matplotlibrc_says(tmp_path: Path) -> None:
    draw = """
from pathlib import Path
from cli.figure import save_figure
from advtrain.report.style import panels
figure, _ = panels(["MNIST"], (2, 2))
save_figure(figure, [Path("figure.svg")], "scale")
"""
    drawn = []
    for settings in ("", "axes.facecolor: black\nfont.size: 30\nsavefig.bbox: tight\nsvg.fonttype: none\n"):
        (tmp_path / "matplotlibrc").write_text(settings)  # looked for in the working directory first
        subprocess.run([sys.executable, "-c", draw], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(SRC)}, check=True)
        drawn.append((tmp_path / "figure.svg").read_bytes())
    assert drawn[0] == drawn[1]
