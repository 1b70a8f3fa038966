"""The report is one file that shows every picture and page of a run in a browser, without a network."""

import html
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from workspace import REPOSITORY, Workspace

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
NO_BROWSER = f"there is no Chromium: {', '.join(BROWSERS)} are not on the PATH"
WIDTH = 1400
LOCAL, NUMBER = re.compile(r"\A(file|data|blob):"), re.compile(r"\d+(?:\.\d+)?")


def in_chromium(test: Any) -> Any:
    return pytest.mark.chromium(pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)(test))


@pytest.fixture(scope="module")
def report(finished_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a copy of the finished run, alone in a folder."""
    workspace = Workspace(tmp_path_factory.mktemp("run") / "workflow")
    shutil.copytree(finished_run.folder, workspace.folder, symlinks=True)
    file = tmp_path_factory.mktemp("report") / "report.html"
    result = workspace.snakemake("--report", str(file), "--", "all")
    assert result.returncode == 0, result.stderr
    return file


@pytest.fixture(scope="module")
def results(report: Path) -> dict[str, dict[str, Any]]:
    """What the report has of each result, by the result's path, and the result's category."""
    text = report.read_text()
    entries, categories = (
        json.loads(re.findall(rf'<script id="{name}">\s*var {name} = (.*);\n', text)[0]) for name in ("results", "categories")
    )
    category = {path: name for name, groups in categories.items() for paths in groups.values() for path in paths}
    return {path: {**entry, "category": category[path]} for path, entry in entries.items()}


@pytest.fixture
def page(report: Path) -> Iterator[Page]:
    """The report in a browser without a network; any error and any request to elsewhere fails the test."""
    noted: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": WIDTH, "height": 900}, offline=True).new_page()
        page.on("console", lambda message: noted.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("request", lambda request: None if LOCAL.match(request.url) else noted.append(request.url))
        page.goto(report.as_uri())
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


def test_every_picture_and_page_is_in_the_report_with_a_category_and_a_label(
    finished_run: Workspace, results: dict[str, dict[str, Any]]
) -> None:
    made = [file for kind in ("svg", "html") for file in finished_run.results.rglob(f"*.{kind}")]
    assert set(results) == {str(file.relative_to(finished_run.folder)) for file in made}
    categories = {Path(path).name: result["category"] for path, result in results.items()}
    paper = dict.fromkeys(("table1.html", "against_paper.html", "figure1.svg", "figure2.svg", "table1_bars.svg"), "The paper")
    assert categories.items() >= {**paper, "histories.svg": "Training", "pareto.svg": "Beyond the paper"}.items()
    assert "Other" not in categories.values()
    assert all(result["labels"] for result in results.values())


@pytest.mark.parametrize(("target", "folder", "settings"), [("quick", "results/quick", {"quick"}), ("all", "results", set())])
def test_make_ends_with_the_report_of_what_it_ran(target: str, folder: str, settings: set[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(
        ["make", "--dry-run", target], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    run, last = result.stdout.splitlines()[-2:]
    assert "--cores" in run
    assert f"--report {folder}/report.html -- all" in last
    for line in (run, last):
        assert set(re.findall(r"--configfile config/(\w+).yaml", line)) == settings


def test_every_result_has_a_caption_in_which_nothing_is_left_to_fill_in(results: dict[str, dict[str, Any]]) -> None:
    for path, result in results.items():
        assert words(result["caption"]), path
        for trace in ("{{", "{%", "System Message", "Undefined"):
            assert trace not in result["caption"], path


@in_chromium
def test_the_first_page_says_what_run_it_is_and_lists_each_category(page: Page, results: dict[str, dict[str, Any]]) -> None:
    text = page.locator("#app .prose").inner_text()
    for fact in ("small_cnn", "training images: 96", "epochs: 3", "2 (0, 1)", "test images: 48", "reduced scale"):
        assert fact in text
    listed = {link.inner_text() for link in page.get_by_role("link").all()}
    assert listed >= {result["category"] for result in results.values()}


@in_chromium
def test_each_picture_is_shown_whole_and_is_not_empty(page: Page, results: dict[str, dict[str, Any]]) -> None:
    for path, result in results.items():
        if path.endswith(".svg"):
            click(page, result, button=0)
            picture = page.locator(f'img[src*="filename={result["filename"]};"]')
            picture.wait_for()
            assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0, path
            box = picture.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 200, path
            assert box["x"] + box["width"] <= WIDTH, f"{path} is cut off"
            with Image.open(io.BytesIO(picture.screenshot())) as shown:
                assert len(shown.convert("RGB").getcolors(2**24)) > 50, path


@in_chromium
def test_each_page_opens_with_all_its_numbers(page: Page, results: dict[str, dict[str, Any]], finished_run: Workspace) -> None:
    for path, result in results.items():
        if path.endswith(".html"):
            click(page, result, button=0)
            body = page.frame_locator("iframe").locator("body")
            body.locator("table").first.wait_for()
            numbers = NUMBER.findall(words((finished_run.folder / path).read_text().partition("<body>")[2]))
            assert numbers, path
            assert NUMBER.findall(body.inner_text()) == numbers, path


@in_chromium
def test_each_result_says_what_it_shows(page: Page, results: dict[str, dict[str, Any]]) -> None:
    for path, result in results.items():
        click(page, result, button=1)
        shown = page.locator("li.prose")
        shown.wait_for()
        assert " ".join(shown.inner_text().split()) == words(result["caption"]), path
