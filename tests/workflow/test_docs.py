"""README, CONTRIBUTING and docs: their commands, links, lengths, tables and examples are true."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from advtrain.results.parquet import read_table
from workspace import REPOSITORY, Workspace

README = REPOSITORY / "README.md"
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *DOCS]
RUNS = sorted(path for path in (REPOSITORY / "docs" / "results").iterdir() if path.is_dir())
LARGEST = 1_000_000
EXTEND, CLUSTER = ((REPOSITORY / "docs" / name).read_text() for name in ("extend.md", "cluster.md"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str, program: str) -> list[list[str]]:
    """The words of each command of a program, from blocks and, where it names targets after --, from the text."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(rf"`({program} [^`\n]* -- [^`\n]*)`", text)
    return [shlex.split(line) for line in lines if line.startswith(f"{program} ")]


def own_configuration(page: Path) -> str:
    """The example that the commands of a page call config/my.yaml."""
    return next((block for block in blocks(page.read_text(), "yaml") if "results: results/my" in block), "")


def write_example(workspace: Workspace) -> None:
    """The defense of docs/extend.md, at its place."""
    (file,) = re.findall(r"`(src/advtrain/defenses/\w+\.py)`", EXTEND)
    (workspace.folder / file).write_text(blocks(EXTEND, "python")[0])


def test_the_shell_blocks_of_all_pages_are_shell() -> None:
    script = "\n".join(block for page in PAGES for block in blocks(page.read_text(), "bash"))
    assert script
    result = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def plans() -> dict[tuple[str, ...], tuple[str, set[str]]]:
    """By a command's options, without those that change no plan: its config/my.yaml, and all targets asked for so."""
    found: dict[tuple[str, ...], tuple[str, set[str]]] = {}
    for page in PAGES:
        for _, *words in commands(page.read_text(), "snakemake"):
            if "--" not in words:
                continue
            options, targets = words[: words.index("--")], words[words.index("--") + 1 :]
            for option, values in (("--dry-run", 0), ("--cores", 1), ("--report", 1)):
                if option in options:
                    del options[options.index(option) : options.index(option) + 1 + values]
            own = own_configuration(page) if "config/my.yaml" in options else ""
            found.setdefault((*options, own), (own, set()))[1].update(targets)
    return found


@pytest.mark.parametrize("options", plans(), ids=lambda options: " ".join(options[:-1]) or "no options")
def test_snakemake_plans_what_the_pages_tell_to_type(options: tuple[str, ...], workspace: Workspace) -> None:
    own, targets = plans()[options]
    (workspace.folder / "config" / "my.yaml").write_text(own)
    write_example(workspace)
    result = workspace.run([*workspace.command()[:3], "--dry-run", "--quiet", "all", *options[:-1], "--", *sorted(targets)])
    assert result.returncode == 0, result.stderr


def test_make_has_every_target_that_the_pages_name() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    told = [*re.findall(r"`(make [^`]*)`", text), *"\n".join(blocks(text, "bash")).splitlines()]
    targets = {line.split()[-1] for line in told if line.startswith("make ")}
    assert {"quick", "test", "test-faults", "lint"} <= targets
    result = subprocess.run(
        ["make", "--dry-run", *sorted(targets)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("99999900000 100000", None), ("", None)],
)
def test_make_uses_the_cores_that_it_may_use_and_no_more_than_a_container_s_quota(
    quota: str, cores: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "cpu.max"
    if quota:
        file.write_text(f"{quota}\n")
    command = ["make", "--dry-run", "quick", f"CPU_MAX={file}"]
    planned = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert re.findall(r"--cores (\S+)", planned) == [str(cores or usable)]


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_and_tests_that_are_named_are_there(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        if "://" not in target:
            file = page.parent / target if target else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), f"{target}#{anchor}"
    for name in re.findall(r"tests/[\w/]+\.py", page.read_text()):
        assert (REPOSITORY / name).is_file(), name


def test_the_readme_and_the_docs_are_short() -> None:
    readme, *pages = (
        re.sub(r"<!-- docs.*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
        for page in (README, *DOCS)
        if page.name not in ("gpu.md", "benchmarks.md")  # written by `make gpu` and `make bench`
    )
    assert len(readme.partition("## Read on")[0].split()) <= 700
    assert sum(len(page.split()) for page in (readme, *pages)) <= 9000


def test_tables_of_results_in_a_page_are_the_published_file_without_its_title() -> None:
    found = [
        block
        for page in PAGES
        for block in re.findall(r"<!-- (docs/results/\S+) -->\n(.*?)\n<!-- end -->", page.read_text(), re.DOTALL)
    ]
    assert "docs/results/paper/headline.md" in dict(found)
    for file, text in found:
        assert text.strip() == re.sub(r"\A# .*\n", "", (REPOSITORY / file).read_text()).strip(), file


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_published_run_has_its_pages_with_their_values_and_what_made_them_in_small_files(run: Path) -> None:
    files = [file for file in run.rglob("*") if file.is_file()]
    assert max(file.stat().st_size for file in files) <= LARGEST
    abouts = list(run.glob("about*.md"))
    assert abouts
    for about in abouts:
        assert max(map(len, about.read_text().splitlines())) <= 160, about
    pages = {file.stem for file in run.glob("*.md")} - {about.stem for about in abouts} - {"headline"}
    assert pages
    for page in pages:
        assert len(read_table(run / f"{page}.parquet"))


def test_the_defense_of_the_example_is_trained_and_is_in_everything(workspace: Workspace) -> None:
    write_example(workspace)
    own = own_configuration(REPOSITORY / "docs" / "extend.md")
    (workspace.folder / "config" / "my.yaml").write_text(own)
    (name,) = yaml.safe_load(own)["defenses"]
    configured = ("--configfile", "config/tiny.yaml", "config/my.yaml", "--")
    planned = workspace.planned(*configured, "all")
    assert {job for job in planned if job[0] == "collect"} >= {
        ("collect", f"{dataset}/{name}") for dataset in ("mnist", "fmnist")
    }
    workspace.make(*configured, f"results/my/models/mnist/{name}.pt")
    history = read_table(workspace.folder / f"results/my/models/mnist/{name}.history.parquet")
    assert history.column("epoch").to_pylist() == [1, 2, 3] * 2


def test_the_table_of_cluster_jobs_is_what_they_ask_for(workspace: Workspace) -> None:
    """Every job that is submitted asks for a GPU, and no other."""
    result = workspace.run([*workspace.command()[:3], "--dry-run", "--workflow-profile", "profiles/slurm", "--", "all"])
    assert result.returncode == 0, result.stderr
    jobs = re.findall(r"^rule (\w+):.*?^    resources: (.*?)$", result.stdout, re.MULTILINE | re.DOTALL)
    asked = [(rule, resources.split(", ")) for rule, resources in jobs if "gpu=1" in resources]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) GB[^|]*\| (\d+) h \|$", CLUSTER, re.MULTILINE)
    assert {rule for rule, _, _, _ in rows} == {rule for rule, _ in asked}
    for rule, number, gigabytes, hours in rows:
        of_rule = [resources for name, resources in asked if name == rule]
        assert len(of_rule) == int(number), rule
        for resources in of_rule:
            assert {f"mem_mb={gigabytes}000", f"runtime={60 * int(hours)}"} <= set(resources), rule
    assert f"{sum(int(number) * int(hours) for _, number, _, hours in rows)} GPU hours" in CLUSTER
    assert f"{sum(int(number) for _, number, _, _ in rows)} jobs" in CLUSTER
