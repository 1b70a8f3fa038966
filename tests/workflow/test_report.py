"""The report is one file that shows every picture and page of a run in a browser, without a network."""

import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from workspace import TITLES, Workspace

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
NO_BROWSER = f"there is no Chromium: {', '.join(BROWSERS)} are not on the PATH"
WIDTH = 1400
LOCAL, NUMBER = re.compile(r"\A(file|data|blob):"), re.compile(r"\d+(?:\.\d+)?")


def in_chromium(test: Any) -> Any:
    return pytest.mark.chromium(pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)(test))


@pytest.fixture(scope="module")
def results(own_run: Workspace) -> dict[str, dict[str, Any]]:
    """What the report has of each result, by the result's path, and the result's category."""
    text = (own_run.folder / "report.html").read_text()
    entries, categories = (
        json.loads(re.findall(rf'<script id="{name}">\s*var {name} = (.*);\n', text)[0]) for name in ("results", "categories")
    )
    category = {path: name for name, groups in categories.items() for paths in groups.values() for path in paths}
    return {path: {**entry, "category": category[path]} for path, entry in entries.items()}


@pytest.fixture
def page(own_run: Workspace, tmp_path: Path) -> Iterator[Page]:
    """The report in a browser, alone in a folder, without a network; any error and any request to elsewhere fails the test."""
    noted: list[str] = []
    report = shutil.copy(own_run.folder / "report.html", tmp_path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": WIDTH, "height": 900}, offline=True).new_page()
        page.on("console", lambda message: noted.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("request", lambda request: None if LOCAL.match(request.url) else noted.append(request.url))
        page.goto(Path(report).as_uri())
        yield page
        browser.close()
    assert noted == []


def click(page: Page, result: dict[str, Any], button: int) -> None:
    """Go from the first page through the category to the result, and click on its eye (0) or its i (1)."""
    page.reload()
    page.get_by_role("link", name=result["category"], exact=True).click()
    row = page.get_by_role("row")
    for label in result["labels"].values():
        row = row.filter(has=page.get_by_role("cell", name=label, exact=True))
    row.locator("a").nth(button).click()


def words(markup: str) -> str:
    """The text of some HTML, as one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def test_the_first_page_says_the_scale_a_line_for_each_setting(own_run: Workspace) -> None:
    first = re.search(r"workflow_desc = (.*);", (own_run.folder / "report.html").read_text())
    assert first
    lines = [words(line).partition(":")[0].partition(",")[0] for line in re.findall(r"<li>.*?</li>", json.loads(first[1]))]
    assert lines == ["network", "training images", "epochs", "seeds of each classifier", "test images", "epsilon"]


def test_every_picture_and_page_is_in_the_report_with_a_category_a_label_and_a_caption(
    own_run: Workspace, results: dict[str, dict[str, Any]]
) -> None:
    made = [file for kind in ("svg", "html") for file in own_run.results.rglob(f"*.{kind}")]
    assert set(results) == {str(file.relative_to(own_run.folder)) for file in made}
    for path, result in results.items():
        assert result["category"] != "Other", path
        assert result["labels"], path
        assert words(result["caption"]), path
        for trace in ("{{", "{%", "System Message", "Undefined"):
            assert trace not in result["caption"], path


@in_chromium
def test_the_first_page_says_what_run_it_is_and_lists_each_category(page: Page, results: dict[str, dict[str, Any]]) -> None:
    text = page.locator("#app .prose").inner_text()
    for fact in ("small_cnn", "training images: 96", "epochs: 3", "2 (0, 1)", "test images: 48", "reduced scale"):
        assert fact in text
    for section in TITLES.values():
        assert all(entry["title"] in text for entry in section.values()), "what was chosen"
    assert "Fashion" not in text, "and nothing else"
    listed = {link.inner_text() for link in page.get_by_role("link").all()}
    assert listed >= {result["category"] for result in results.values()}


@in_chromium
def test_the_first_page_opens_on_the_table_and_the_picture_of_robustness_and_price(page: Page) -> None:
    top = page.locator("#app .prose h1").bounding_box()
    assert top is not None
    assert top["y"] >= 0, "it can be scrolled to"
    table, picture = page.locator("#app .prose table"), page.locator("#app .prose img")
    for entry in TITLES["defenses"].values():
        assert entry["title"] in table.inner_text()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0
    for shown in (table, picture):
        box = shown.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= WIDTH
        assert box["y"] < 900, "within the first screen"


@in_chromium
def test_each_table_fits_its_width(page: Page, own_run: Workspace) -> None:
    """That of a page in a report, in a window of 1,024 pixels."""
    page.set_viewport_size({"width": 750, "height": 900})
    pages = sorted(own_run.results.rglob("*.html"))
    assert len(pages) >= 9
    for file in pages:
        page.goto(file.as_uri())
        widest = page.evaluate(
            "Math.max(...[...document.querySelectorAll('table')].map(table => table.getBoundingClientRect().right))"
        )
        assert widest <= 750, file.name


@in_chromium
def test_each_picture_is_shown_whole_and_pages_with_all_their_numbers(
    page: Page, results: dict[str, dict[str, Any]], own_run: Workspace
) -> None:
    shown = [path for path in results if path.endswith(("svg", "table1.html", "audit.html"))]
    for path, result in ((path, results[path]) for path in shown):
        click(page, result, button=0)
        if path.endswith(".svg"):
            picture = page.locator(f'img[src*="filename={result["filename"]};"]')
            picture.wait_for()
            assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0, path
            box = picture.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 200, path
            assert box["x"] + box["width"] <= WIDTH, f"{path} is cut off"
            with Image.open(io.BytesIO(picture.screenshot())) as screenshot:
                assert len(screenshot.convert("RGB").getcolors(2**24)) > 50, path
        else:
            body = page.frame_locator("iframe").locator("body")
            body.locator("table").first.wait_for()
            numbers = NUMBER.findall(words((own_run.folder / path).read_text().partition("<body>")[2]))
            assert numbers, path
            assert NUMBER.findall(body.inner_text()) == numbers, path


@in_chromium
def test_the_i_of_a_result_says_what_it_shows(page: Page, results: dict[str, dict[str, Any]]) -> None:
    result = results["results/tiny/table1.html"]
    click(page, result, button=1)
    shown = page.locator("li.prose")
    shown.wait_for()
    assert " ".join(shown.inner_text().split()) == words(result["caption"])
