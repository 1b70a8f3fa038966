"""Names, titles, paths and files that would be commands, markup or code if anything took them for more than text."""

import csv
import html
import importlib
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from advtrain.results.parquet import read_table
from counting import Count
from synthetic import write_synthetic_dataset
from workspace import REPOSITORY, Workspace, make_workspace, merged

DATASET_TITLE = "<script>alert(1)</script> | $(touch evil) `touch evil`"
DEFENSE_TITLES = {
    "proposed": r"\input{/etc/passwd} $x_1$ \frac & {wildcards.dataset} %",
    "fgsm_adv": "</td><img src=x onerror=alert(1)>'; touch evil; echo \"|a|_",
}
TITLES = (DATASET_TITLE, *DEFENSE_TITLES.values())
LOCAL_FOLDER = "local; touch evil & $(touch evil) `touch evil` 'a\" {dataset} *"
PGD = '{"iterations": 2, "step_factor": 2.5, "restarts": 2, "seed": 0}'
WRITTEN = ("results/tiny", "data", ".snakemake")
"""Where a run may write, below its folder."""


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but for what Python keeps compiled."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def assert_nothing_evil(workspace: Workspace) -> None:
    """No command that some text has in it has run: each would have made a file of this name."""
    assert not list(workspace.folder.parent.rglob("evil*"))
    for folder in (REPOSITORY, Path.cwd(), Path.home(), Path("/tmp")):
        assert not (folder / "evil").exists()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run to the end, and its report, of a data set and two defenses whose titles are text, whatever they look like."""
    workspace = make_workspace(tmp_path_factory.mktemp("hostile") / "workflow")
    folder = workspace.folder
    shutil.rmtree(folder / "local" / "fmnist")
    (folder / "local").rename(folder / LOCAL_FOLDER)
    config = merged(*(yaml.safe_load((folder / "config" / name).read_text()) for name in ("config.yaml", "tiny.yaml")))
    config["local_folder"] = LOCAL_FOLDER
    config["datasets"] = {"mnist": {**config["datasets"]["mnist"], "title": DATASET_TITLE}}
    config["defenses"] = {name: {**config["defenses"][name], "title": title} for name, title in DEFENSE_TITLES.items()}
    config["training"] |= {"seeds": [0], "epochs": 1}
    (folder / "config" / "tiny.yaml").write_text(yaml.safe_dump(config))
    before = files_in(folder)
    for arguments in (("--cores", "2"), ("--report", "results/tiny/report.html")):
        result = workspace.snakemake("--replace-workflow-config", *arguments, "--", "all")
        assert result.returncode == 0, result.stderr[-5000:]
    after = files_in(folder)
    assert {name: after.get(name) for name in before} == before, "no file of the workflow is another"
    assert {name for name in after if not name.startswith(WRITTEN)} == before.keys()
    return workspace


def test_a_run_takes_titles_and_folders_for_text(hostile: Workspace, count: Count) -> None:
    assert_nothing_evil(hostile)
    count("runs with commands in titles and paths", 1)


def test_tables_of_values_have_the_titles_as_they_are(hostile: Workspace) -> None:
    with (hostile.results / "table1.csv").open(newline="") as file:
        titles = {row["title"] for row in csv.DictReader(file)}
    table = read_table(hostile.results / "table1.parquet")
    assert titles == set(table["title"].to_pylist()) == set(DEFENSE_TITLES.values())
    assert set(table["group"].to_pylist()) == {DATASET_TITLE, "Training time"}


@pytest.mark.parametrize("page", ["table1", "audit", "against_paper", "differences", "cost"])
def test_pages_show_titles_and_run_nothing(hostile: Workspace, page: str) -> None:
    text = (hostile.results / f"{page}.html").read_text()
    assert not re.search(r"<(script|img)", text)
    words = html.unescape(re.sub(r"<[^>]*>", "\n", text))
    assert all(title in words for title in TITLES)
    markdown = (hostile.results / f"{page}.md").read_text()
    assert not re.search(r"(?<!\\)<(script|img|/)", markdown)
    assert r"\</script> \| \$(touch evil) \`touch evil\`" in markdown


def test_latex_reads_no_file(hostile: Workspace) -> None:
    text = (hostile.results / "table1.tex").read_text()
    assert r"\textbackslash{}input\{/etc/passwd\} \$x\_1\$ \textbackslash{}frac \& \{wildcards.dataset\} \%" in text
    assert r"\input" not in text


@pytest.mark.parametrize("figure", ["figure1", "figure2", "table1_bars", "pareto", "histories", "transfer"])
def test_figures_show_titles_and_no_formula(hostile: Workspace, figure: str) -> None:
    """The letters are paths of a font, oblique in a formula, and beside them is a comment that says what they are."""
    picture = (hostile.results / f"{figure}.svg").read_text()
    texts = html.unescape("\n".join(re.findall("<!-- (.*?) -->", picture)))
    for title in TITLES:
        assert title in texts
    assert "Oblique" not in picture
    assert "<script" not in picture


def test_the_report_shows_titles_and_runs_its_own_scripts_only(hostile: Workspace) -> None:
    text = (hostile.results / "report.html").read_text()
    assert "alert(1)</script>" not in text
    assert "<img src=x" not in text
    (described,) = re.findall(r"var workflow_desc = (\".*\");", text)
    shown = json.loads(described)
    assert not re.search(r"<script|<img|System Message", shown)
    for title in TITLES:
        assert title in html.unescape(shown)
    (results,) = re.findall(r'<script id="results">\s*var results = (.*);\n', text)
    params = str([entry["job_properties"]["params"] for entry in json.loads(results).values()])
    assert "u003cscript>alert(1)" in params, "the params are in it, with another way to write the bracket"


TARGETS = (
    "results/tiny/$(touch evil)/vanilla.parquet",
    "results/tiny/`touch evil`/vanilla.parquet",
    "results/tiny/mnist/vanilla;touch evil.parquet",
    "results/tiny/mnist/vanilla\ntouch evil\n.parquet",
    "results/tiny/../../evil",
    "results/tiny/mnist/../../../evil.parquet",
    "/evil",
    "data/../evil/train-images-idx3-ubyte",
    "results/tiny/{dataset}/{__import__('os').system('touch evil')}.parquet",
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_no_rule_makes_is_refused(workspace: Workspace, target: str, count: Count) -> None:
    before = files_in(workspace.folder)
    result = workspace.snakemake("--cores", "1", "--", target)
    assert result.returncode != 0
    assert "MissingRuleException" in result.stderr
    assert {name for name in files_in(workspace.folder) if not name.startswith(".snakemake")} == before.keys()
    assert_nothing_evil(workspace)
    count("hostile targets refused", 1)


CONFIGURATIONS = {
    "python object": 'device: !!python/object/apply:os.system ["touch evil"]',
    "python name": "device: !!python/name:os.system",
    "python module": "device: !!python/module:evil",
    "name with a command": 'datasets: {"$(touch evil)": {title: A, epsilon: 0.1, sha256: {}}}',
    "name with a path": 'defenses: {"../../evil": {title: A, family: none, training: {method: vanilla}}}',
    "method with a path": "defenses: {evil: {title: A, family: none, training: {method: ../../../evil}}}",
    "results above": "pathvars: {results: ../evil}",
    "results elsewhere": "pathvars: {results: /tmp/evil}",
    "results with a command": "pathvars: {results: 'results/$(touch evil)'}",
    "results with a wildcard": "pathvars: {results: 'results/{evil}'}",
    "device with a command": "device: 'cpu; touch evil'",
    "seed with a command": "training: {seeds: ['0; touch evil']}",
    "data set to time with a path": "timing: {dataset: ../../evil}",
    "a newline in a title": 'datasets: {mnist: {title: "MNIST\\ntouch evil"}}',
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_hostile_configuration_stops_before_any_job(workspace: Workspace, text: str, count: Count) -> None:
    (workspace.folder / "config" / "hostile.yaml").write_text(text)
    before = files_in(workspace.folder)
    result = workspace.snakemake("config/hostile.yaml", "--cores", "1", "--", "all")
    assert result.returncode != 0
    assert "The configuration is wrong." in result.stderr or "Config file is not valid JSON or YAML" in result.stderr
    assert "Traceback" not in result.stderr
    assert {name for name in files_in(workspace.folder) if not name.startswith(".snakemake")} == before.keys()
    assert_nothing_evil(workspace)
    count("hostile configurations refused by Snakemake", 1)


def test_no_configuration_here_is_a_template() -> None:
    """With `__use_yte__` Snakemake runs the Python in a configuration; that is its own, and no workflow can forbid it."""
    for file in (REPOSITORY / "config").glob("*.yaml"):
        assert "__use_yte__" not in file.read_text(), file


@pytest.mark.parametrize("script", ["train", "sweep_bim", "strong"])
def test_scripts_make_no_path_of_a_name(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count) -> None:
    """All that a script writes is where an option says."""
    write_synthetic_dataset(tmp_path / "data", seed=0)
    monkeypatch.chdir(tmp_path)
    names = {"dataset": "../../evil; touch evil", "defense": "$(touch evil)/../evil"}
    shared = {"examples": "32", "subset-seed": "0", "epsilon": "0.3", "batch-size": "32", "device": "cpu"}
    trained = {
        "settings": '{"method": "vanilla"}',
        **{"network": "small_cnn", "seeds": "0", "epochs": "1", "learning-rate": "0.001", "cuda-graph": "0"},
        **{"monitor-examples": "16", "monitor-iterations": "1", "checkpoint-epochs": "1"},
        **{"checkpoint": "out/m.checkpoint", "model": "out/m.pt", "history": "out/m.parquet"},
    }
    fixed_step = {"fixed-step-divisor": "10", "fixed-step-iterations": "1"}
    own = {"sweep_bim": {"iterations": "1", **fixed_step}, "strong": {"pgd": PGD}}
    before = files_in(tmp_path.parent)
    for name, options in {"train": trained, script: own.get(script, trained)}.items():
        prefix = "train" if name == "train" else "t10k"
        options = {**names, **shared, **options, "images": f"data/{prefix}-images-idx3-ubyte"}
        options["labels"] = f"data/{prefix}-labels-idx1-ubyte"
        if name != "train":
            options |= {"model": "out/m.pt", "output": "out/rows.parquet"}
        arguments = [text for option, value in options.items() for text in (f"--{option}", value)]
        result = CliRunner().invoke(importlib.import_module(name).main, arguments)
        assert result.exit_code == 0, result.output
    written = {Path(name).name for name in files_in(tmp_path.parent).keys() - before.keys()}
    assert written == {"m.pt", "m.parquet"} | ({"rows.parquet"} if script != "train" else set())
    count("scripts run with hostile names", 1)
