"""What README.md and docs say of results is what docs/results has, and that is what the rule publish made of one run."""

import re
from pathlib import Path

import pytest
import yaml

from advtrain.results.parquet import read_provenance, read_table
from workspace import Workspace, merged

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"<!-- (docs/results/\S+) -->\n(.*?)\n<!-- end -->", re.DOTALL)
BLOCKS = [(page, *block) for page in PAGES for block in BLOCK.findall(page.read_text())]
ABOUT_RESULTS = {
    "README.md": ("## What came out\n", "\n## "),
    "docs/reproduction.md": ("# The reproduction\n", "\n## Made with"),
}
"""Where each page speaks of results: from this heading to the next of its kind."""
RUNS = sorted((REPOSITORY / "docs" / "results").iterdir())


def spoken_of(page: str) -> str:
    """The part of a page that is about results, in words: without tables of results, code and links' targets."""
    start, end = ABOUT_RESULTS[page]
    text = (REPOSITORY / page).read_text().partition(start)[2].partition(end)[0]
    assert text
    for left_out in (BLOCK, re.compile(r"```.*?```", re.DOTALL), re.compile(r"`[^`]*`"), re.compile(r"\]\([^)]*\)")):
        text = left_out.sub("", text)
    return text


@pytest.mark.parametrize(
    ("page", "file", "text"), BLOCKS, ids=[f"{page.name}, {file.removeprefix('docs/results/')}" for page, file, _ in BLOCKS]
)
def test_a_table_of_results_in_a_page_is_the_published_file(page: Path, file: str, text: str) -> None:
    """The file as it is, or one of its sections with its heading."""
    published = (REPOSITORY / file).read_text().strip()
    assert text.strip() == published or f"\n\n{text.strip()}\n\n" in f"\n\n{published}\n\n"


@pytest.mark.parametrize("page", ABOUT_RESULTS)
def test_every_decimal_figure_in_the_words_is_in_a_published_table(page: str) -> None:
    published = "".join(file.read_text() for run in RUNS for file in run.glob("*.md"))
    known = set(re.findall(r"\d+\.\d+", published))
    figures = set(re.findall(r"\d+\.\d+", spoken_of(page)))
    assert figures
    assert figures <= known, sorted(figures - known)


def test_the_readme_opens_with_table_1_at_the_largest_scale_that_was_run() -> None:
    def images_seen(run: Path) -> int:
        config = read_provenance(run / "models" / "mnist" / "proposed.history.parquet")["config"]
        return config["examples"] * config["epochs"] * len(config["seeds"])

    whole = [run for run in RUNS if (run / "table1.parquet").exists()]
    largest = max(whole, key=images_seen)
    first = next(file for page, file, _ in BLOCKS if page.name == "README.md")
    assert first == f"docs/results/{largest.name}/against_paper.md"


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_published_run_is_what_its_configuration_publishes_and_no_more(run: Path, workspace: Workspace) -> None:
    """By a dry run of the rules whose names begin with publish, with the configuration of that name."""
    rules = {"about": "publish", "about_variants": "publish_variants", "about_ablation": "publish_ablation"}
    targets = [rules[page.stem] for page in run.glob("about*.md")]
    planned = workspace.plan("--configfile", f"config/{run.name}.yaml", "--forceall", "--", *targets)
    outputs = re.findall(rf"docs/results/{run.name}/[^\s,]+", planned)
    assert {str(file.relative_to(REPOSITORY)) for file in run.rglob("*") if file.is_file()} == set(outputs)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_published_run_is_one_of_its_configuration(run: Path) -> None:
    """A figure of a smaller run never stands under the name of a larger one."""
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    if run.name != "paper":
        config = merged(config, yaml.safe_load((REPOSITORY / "config" / f"{run.name}.yaml").read_text()))
    histories = sorted(run.glob("models/*/*.history.parquet"))
    for history in histories:
        made = read_provenance(history)["config"]
        expected = {key: config["training"][key] for key in ("seeds", "examples", "epochs", "batch_size", "learning_rate")}
        assert {key: made[key] for key in expected} == expected, history
        assert made["network"] == config["network"]
    for about in run.glob("about*.md"):
        assert f"| training.epochs | {config['training']['epochs']} |" in re.sub(r" +", " ", about.read_text())


def test_the_published_trainings_of_80_epochs_are_those_of_40_gone_on_with() -> None:
    """Their commits are known, those of the longer ones are lost: docs/reproduction.md."""
    shorter, longer = (REPOSITORY / "docs" / "results" / name / "models" for name in ("cpu_40", "cpu"))
    histories = sorted(file.relative_to(shorter) for file in shorter.glob("*/*.history.parquet"))
    assert len(histories) == 12
    for history in histories:
        first, whole = (read_table(folder / history).to_pandas().drop(columns="seconds") for folder in (shorter, longer))
        assert (len(first), len(whole)) == (40, 80)
        assert whole.head(40).equals(first), history
