"""Table I: ours beside the paper's."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from advtrain import paper
from advtrain.errors import InputError

SECONDS = "Seconds per epoch"
RATIO = "Relative to FGSM-Adv"
TIME = "Training time"


def table_1(
    evaluations: pd.DataFrame, timing: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str]
) -> pd.DataFrame:
    """Table I in long form: a row for each figure.

    Args:
        evaluations: the evaluation table of all cells.
        timing: the table of `timing.summarise`.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.

    Returns:
        Columns `defense`, `title`, `group` (a data set's title, or Training time), `column`, `mean` and `std` (percent over
        seeds, or seconds, or a ratio; std is NaN for one seed), `seeds`, `examples` and `paper` (NaN where it has none).

    Raises:
        InputError: an evaluation or a time is missing.
    """
    rows = []
    for defense, title in defenses.items():
        for dataset, group in datasets.items():
            printed = paper.TABLE_1.get(defense, {}).get(dataset, (float("nan"),) * len(paper.COLUMNS))
            for column, figure in zip(paper.COLUMNS, printed, strict=True):
                cell = _select(evaluations, dataset, defense, column)
                rows.append(
                    {
                        "defense": defense,
                        "title": title,
                        "group": group,
                        "column": column,
                        "mean": 100 * cell["accuracy"].mean(),
                        "std": 100 * cell["accuracy"].std(),
                        "seeds": len(cell),
                        "examples": cell["examples"].iloc[0],
                        "paper": figure,
                    }
                )
        rows.extend(_time_rows(timing, defense, title))
    return pd.DataFrame(rows)


def wide_table_1(table: pd.DataFrame) -> pd.DataFrame:
    """Table I as people read it: a row for each defense, a cell of text for each figure, the paper's in brackets.

    Args:
        table: the table of `table_1`.

    Returns:
        Index: the defenses' titles. Columns: two levels, group and column. Cells such as "94.2 ± 0.3 [94.21]".
    """
    text = table.assign(text=[_cell_text(row) for row in table.to_dict("records")])
    wide = text.pivot(index="title", columns=["group", "column"], values="text")
    columns = pd.MultiIndex.from_frame(table[["group", "column"]].drop_duplicates())
    return wide.loc[table["title"].unique(), columns].rename_axis(index=None, columns=[None, None])


def caption(table: pd.DataFrame, scale: str, device: str) -> str:
    """The sentence under Table I: what was measured, over how much, and how to read a cell."""
    seeds = int(table["seeds"].max())
    examples = ", ".join(f"{n:,}" for n in sorted(table["examples"].dropna().astype(int).unique()))
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "of one seed"
    return (
        f"Test accuracy in percent on {examples} test images, {spread}; in brackets the paper's Table I, "
        f"— where it has no figure. Trained at this scale: {scale}. Time: median over blocks of steps of all defenses in turn, "
        f"on {device}; the paper's on a Tesla K20m, so compare the ratios."
    )


def to_markdown(table: pd.DataFrame, note: str) -> str:
    """The wide table as Markdown, groups and columns in one heading each."""
    headings = [column if group == TIME else f"{group} {column}" for group, column in table.columns]
    flat = table.set_axis(headings, axis=1)
    return f"{flat.to_markdown(disable_numparse=True)}\n\n{note}\n"


def to_html(table: pd.DataFrame, note: str) -> str:
    """The wide table as an HTML page of its own."""
    style = (
        "body{font-family:sans-serif;margin:1.5em}table{border-collapse:collapse}caption{caption-side:bottom;text-align:left;"
        "padding-top:.8em;max-width:70em;color:#444}th,td{padding:.35em .7em;text-align:right;border-bottom:1px solid #ddd;"
        "white-space:nowrap}thead th{text-align:center}tbody th{text-align:left}"
    )
    body = table.to_html(border=0).replace("<thead>", f"<caption>{escape(note)}</caption>\n  <thead>", 1)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Table I</title><style>{style}</style></head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def to_latex(table: pd.DataFrame, note: str) -> str:
    """The wide table as a LaTeX float, for the package booktabs."""
    escaped = table.map(_escape_latex).rename(index=_escape_latex, columns=_escape_latex)
    latex: str = escaped.to_latex(
        caption=_escape_latex(note), label="tab:table1", column_format="l" + "r" * table.shape[1], multicolumn_format="c"
    )
    return latex


LATEX: dict[str, str | int | None] = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "—": "---",
}


def _escape_latex(text: str) -> str:
    return text.translate(str.maketrans(LATEX))


def _select(evaluations: pd.DataFrame, dataset: str, defense: str, column: str) -> pd.DataFrame:
    """The rows of one figure, one for each seed."""
    cell = evaluations[(evaluations["dataset"] == dataset) & (evaluations["defense"] == defense)]
    if column.startswith("BIM("):
        iterations = int(column[4:-1])
        bim = (cell["attack"] == "bim") & (cell["iterations"] == iterations)
        cell = cell[bim & (cell["iterate"] == cell["iterations"])]
    else:
        cell = cell[cell["attack"] == {"Original": "clean", "FGSM": "fgsm"}[column]]
    if cell.empty:
        raise InputError(f"Table I needs {column} of {dataset}/{defense}, which was not evaluated; add it to the configuration")
    return cell


def _time_rows(timing: pd.DataFrame, defense: str, title: str) -> list[dict[str, Any]]:
    timed = timing[timing["defense"] == defense]
    if timed.empty:
        raise InputError(f"Table I needs the training time of {defense}, which was not measured")
    seconds = paper.SECONDS_PER_EPOCH.get(defense, float("nan"))
    row = {"defense": defense, "title": title, "group": TIME, "std": float("nan")}
    return [
        {**row, "column": SECONDS, "mean": timed["seconds_median"].iloc[0], "paper": seconds},
        {**row, "column": RATIO, "mean": timed["ratio_median"].iloc[0], "paper": seconds / paper.SECONDS_PER_EPOCH["fgsm_adv"]},
    ]


def _cell_text(row: Mapping[str, Any]) -> str:
    sign = "×" if row["column"] == RATIO else ""
    ours = f"{row['mean']:.2f}{sign}" if pd.notna(row["mean"]) else "—"
    if pd.notna(row["std"]):
        ours += f" ± {row['std']:.2f}"
    printed = f"{row['paper']:.2f}{sign}" if pd.notna(row["paper"]) else "—"
    return f"{ours} [{printed}]"
