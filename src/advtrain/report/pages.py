"""Pages of text and tables, as Markdown, HTML and LaTeX."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

PASS_SIGN, WARN_SIGN, FAIL_SIGN = "✓", "~", "✗"
"""What a cell that gives a verdict begins with."""

STYLE = """
body { font-family: sans-serif; margin: 1.5em; color: #222; }
p { max-width: 60em; line-height: 1.4; }
table { border-collapse: collapse; margin: 0.8em 0 1.6em; font-size: 0.92em; }
th, td { padding: 0.35em 0.7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
tbody th, td:first-child { min-width: 6em; overflow-wrap: anywhere; }
.fail { background: #f9d9d3; } .warn { background: #fcf0c8; } .pass { background: #e2f1e1; }
"""


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs with an empty line between, and a table of text if there is one."""

    heading: str
    text: str = ""
    table: pd.DataFrame | None = None
    index: bool = True
    """Whether the table's index is a column to read."""


def grid(table: pd.DataFrame, texts: Iterable[str], index: str, columns: str) -> pd.DataFrame:
    """A text for each row of a table, arranged by two of its columns, both in the table's order."""
    wide = table.assign(text=list(texts)).pivot(index=index, columns=columns, values="text")
    return wide.loc[table[index].unique(), table[columns].unique()].rename_axis(index=None, columns=None)


def bracketed(row: Mapping[str, Any], form: str) -> str:
    """The interval of a table's row, from `lower` to `upper`, to stand behind its figure; `form` is of its numbers.

    Such as " (88.0 to 91.7)", or " (images: 88.0 to 91.7)" where `seeds` is 1; nothing where it is not known.
    """
    over = "images: " if row["seeds"] == 1 else ""
    return "" if pd.isna(row["lower"]) else f" ({over}{row['lower']:{form}} to {row['upper']:{form}})"


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """A page of Markdown, without a heading if the title is empty; every text shows as it is."""
    return join_markdown(_escape_markdown(title), [_map_section(section, _escape_markdown) for section in sections])


def join_markdown(title: str, sections: Sequence[Section]) -> str:
    """A page of Markdown of sections whose texts are Markdown themselves."""
    parts = [f"# {title}" if title else ""]
    for section in sections:
        table = "" if section.table is None else section.table.to_markdown(index=section.index, disable_numparse=True)
        parts += [f"### {section.heading}" if section.heading else "", section.text, table]
    return "\n\n".join(filter(None, parts)) + "\n"


MARKUP = re.compile(r"[\\`*|<&$#]|~(?=\S)|(?<!\w)_|_(?!\w)|(?<=\])[(\[:]")
"""What Markdown may take for markup; the brackets of "[94.21]" and the underscore of small_cnn are not."""


def _escape_markdown(text: str) -> str:
    return MARKUP.sub(r"\\\g<0>", text)


def to_html(title: str, sections: Sequence[Section]) -> str:
    """A page of HTML that needs no other file, as `to_markdown`; cells that begin with a verdict's sign have its colour."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    parts = ["<!doctype html>", '<html lang="en">', f"<head>{head}</head>", "<body>"]
    parts += [f"<h1>{escape(title)}</h1>"] if title else []
    for section in sections:
        parts += [f"<h2>{escape(section.heading)}</h2>"] if section.heading else []
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n") if paragraph]
        if section.table is not None:
            html = section.table.to_html(border=0, index=section.index)
            for sign, verdict in ((PASS_SIGN, "pass"), (WARN_SIGN, "warn"), (FAIL_SIGN, "fail")):
                html = html.replace(f"<td>{sign} ", f'<td class="{verdict}">{sign} ')
            parts.append(html)
    return "\n".join([*parts, "</body>", "</html>", ""])


def to_latex(sections: Sequence[Section]) -> str:
    """The tables of some sections for LaTeX with the package booktabs, a float each; the text without a table ends them."""
    parts = []
    for section in (_map_section(section, _escape_latex) for section in sections):
        if section.table is None:
            parts.append(section.text + "\n")
        else:
            layout = "l" * section.index + "r" * section.table.shape[1]
            parts.append(section.table.to_latex(index=section.index, caption=section.heading, column_format=layout))
    return "\n".join(parts)


LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "†": r"$\dagger$",
    }
)


def _escape_latex(text: str) -> str:
    escaped = text.translate(LATEX)
    return f"{{}}{escaped}" if escaped[:1] in {"[", "*"} else escaped  # a row's end before it would take it for an argument


def _map_section(section: Section, change: Callable[[str], str]) -> Section:
    """Change each text of a section, headings of a table's rows and columns included."""
    table = section.table
    if table is not None:
        names = change if table.index.inferred_type == "string" else None
        table = table.map(change).rename(index=names, columns=change)
    return Section(change(section.heading), change(section.text), table, section.index)
