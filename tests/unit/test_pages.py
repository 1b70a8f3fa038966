"""Pages show every text as it is, whatever their format would take it for."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from advtrain.report.pages import Section, to_html, to_latex, to_markdown

TITLES = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=[" "]), min_size=1, max_size=30).map(str.strip)
HOSTILE = ["<script>alert(1)</script>", "</td><img src=x onerror=alert(1)>", "&lt;", "[a](javascript:alert(1))", "*", "[3cm] a"]
HOSTILE += ["a | b", r"a \| b \\", "`a | b`", r"\input{/etc/passwd}", "100% & $x_1$ #1 {a} ~ ^"]
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td"}
LETTERS = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"}
PUNCTUATION = re.compile(r"\\([!-/:-@\[-`{-~])")


def with_hostile(test: Callable[[str], None]) -> Callable[[], None]:
    for title in HOSTILE:
        test = example(title)(test)
    return given(TITLES.filter(bool))(test)


def sections(title: str) -> list[Section]:
    """The title wherever one can be: a heading, a text, a row's and a column's name, a cell."""
    table = pd.DataFrame({"first": ["1.00 [2.00] †", title], title: ["a", "b"]}, index=["row", title])
    return [Section(title, f"About {title}.", table)]


class Texts(HTMLParser):
    """Every text of a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts, self.tags = list[str](), set[str]()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@with_hostile
def test_html_shows_a_title_as_it_is(title: str) -> None:
    page = Texts()
    page.feed(to_html(title, sections(title)))
    assert page.texts.count(title) >= 6, "title, heading of the page and of the section, row, column, cell"
    assert f"About {title}." in page.texts
    assert page.tags <= TAGS


@with_hostile
def test_markdown_shows_a_title_as_it_is(title: str) -> None:
    page = to_markdown("", sections(title))
    heading, _, about, _, *rows = page.splitlines()
    cells = [[cell.strip() for cell in re.findall(r"(?:\\.|[^|\\])+", row)] for row in rows]
    assert [len(row) for row in cells] == [3, 3, 3, 3], "no bar of a title is a cell's end"
    for text in (heading.removeprefix("### "), about.removeprefix("About ")[:-1], cells[0][2], cells[3][0], cells[3][1]):
        assert PUNCTUATION.sub(r"\1", text) == title
        assert not re.search(r"(?<!\\)(?:\\\\)*[<`*|$]", text), "nothing is markup"
    assert cells[2][1] == "1.00 [2.00] †", "what is no markup stays readable"


@with_hostile
def test_latex_shows_a_title_as_it_is(title: str) -> None:
    page = to_latex(sections(title))
    assert page.count(r"\begin{") == page.count(r"\end{") == 2
    own = re.sub(r"\\(begin|end)\{\w+\}|\{lrr\}|\\caption\{(.*)\}|\\(top|mid|bottom)rule|\\label\{\}", r"\2", page)
    commands = set(re.findall(r"\\([a-zA-Z]+|.)", own.replace(r"\\", ""), re.DOTALL))
    assert commands <= {*"&%$#_{}", "pm", "times", "dagger", *LETTERS}
    assert not re.search(r"^[\[*]", page, re.MULTILINE), "the end of the row before takes an argument"


def test_an_index_that_is_not_for_reading_is_in_no_format() -> None:
    hidden = [Section("", table=pd.DataFrame({"first": ["1.00"]}, index=["hidden"]), index=False)]
    for page in (to_markdown("", hidden), to_html("", hidden), to_latex(hidden)):
        assert "1.00" in page
        assert "hidden" not in page


@pytest.mark.parametrize("title", ["small_cnn", "BIM(10)-Adv", "Fashion-MNIST", "~ warn 0.3", "in [0, 1]"])
def test_plain_words_stay_readable(title: str) -> None:
    assert f"### {title}\n" in to_markdown("", [Section(title)])
