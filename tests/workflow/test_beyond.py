"""What is asked for by name: the ablation, the choices that the paper leaves open, and what is published of a run."""

import shutil
from pathlib import Path

import pytest

from advtrain.results.parquet import read_provenance, read_table
from workspace import Workspace

ABLATED = ("proposed__step10_reset1", "proposed__step1_reset1", "proposed__step1_reset3")
VARIANTS = ("proposed__predicted_labels", "proposed__batch_16", "proposed__seed_7")


@pytest.fixture(scope="module")
def published(finished_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished run that goes on, with one data set."""
    workspace = Workspace(tmp_path_factory.mktemp("beyond") / "workflow")
    shutil.copytree(finished_run.folder, workspace.folder, symlinks=True)
    workspace.keep_only(datasets={"mnist"})
    workspace.configure(variants={"defenses": ["proposed"]})
    result = workspace.snakemake("--cores", "2", "--", "publish", "publish_variants", "publish_ablation")
    assert result.returncode == 0, result.stderr
    return workspace


def test_each_classifier_of_the_ablation_is_trained_and_the_paper_s_own_only_once(workspace: Workspace) -> None:
    trained = {job for job in workspace.dry_run("--", "all", "ablation") if job[0] == "train"}
    cells = {f"{dataset}/{name}" for dataset in ("mnist", "fmnist") for name in ABLATED}
    assert trained - {job for job in workspace.dry_run("--", "all") if job[0] == "train"} == {("train", cell) for cell in cells}


def test_periods_that_a_training_does_not_end_with_and_all_but_one_that_it_never_reaches_are_left_out(
    workspace: Workspace,
) -> None:
    workspace.configure(training={"epochs": 6}, ablation={"step_divisors": [1], "reset_epochs": [2, 4, 6, 12]})
    workspace.keep_only(datasets={"mnist"})
    trained = {cell for rule, cell in workspace.dry_run("--", "ablation") if rule == "train"}
    assert trained == {"mnist/proposed__step1_reset2", "mnist/proposed__step1_reset6"}


def test_a_choice_is_tried_where_it_changes_something_and_on_its_own_defenses(workspace: Workspace) -> None:
    choices = [
        {"name": "predicted_labels", "title": "Predicted", "settings": {"labels": "predicted"}},
        {"name": "as_it_is", "title": "As it is", "training": {"epochs": 3}},
        {"name": "wide", "title": "Wide", "network": "madry_cnn", "defenses": ["atda"]},
    ]
    workspace.configure(variants={"defenses": ["vanilla", "atda", "proposed", "unknown"], "choices": choices})
    workspace.keep_only(datasets={"mnist"})
    trained = {cell.removeprefix("mnist/") for rule, cell in workspace.dry_run("--", "variants") if rule == "train"}
    assert trained == {"vanilla", "atda", "proposed", "atda__predicted_labels", "proposed__predicted_labels", "atda__wide"}


def test_a_classifier_is_trained_with_what_its_name_says(published: Workspace) -> None:
    def made(name: str) -> dict:
        return read_provenance(published.results / "models" / "mnist" / f"{name}.history.parquet")["config"]

    own = made("proposed")
    assert made("proposed__batch_16") == {**own, "batch_size": 16}
    assert made("proposed__seed_7") == {**own, "seeds": [7]}
    assert made("proposed__predicted_labels")["defense"] == {**own["defense"], "labels": "predicted"}
    assert made("proposed__step1_reset3")["defense"] == {**own["defense"], "step_divisor": 1, "reset_epochs": 3}
    assert all(made(name)["epochs"] == own["epochs"] for name in (*ABLATED, *VARIANTS))


def test_the_tables_have_every_choice(published: Workspace) -> None:
    choices = read_table(published.results / "variants.parquet").to_pandas()["choice"].unique().tolist()
    assert choices == ["As configured", "BIM of ε/10 a step", "Predicted labels", "Batch 16", "Another seed"]
    grid = read_table(published.results / "ablation.parquet").to_pandas()[["step_divisor", "reset_epochs"]]
    assert set(map(tuple, grid.to_numpy().tolist())) == {(10, 1), (10, 3), (1, 1), (1, 3)}


def test_what_is_published_is_what_the_run_made(published: Workspace) -> None:
    folder = published.folder / "docs" / "results" / "tiny"
    copies = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file() and not file.name.startswith("about")}
    assert {str(copy) for copy in copies} >= {
        "table1.md",
        "mnist/proposed.parquet",
        "pareto.svg",
        "ablation.svg",
        "variants.md",
    }
    for copy in copies:
        assert (folder / copy).read_bytes() == (published.results / copy).read_bytes(), copy


def test_beside_it_stands_what_made_it(published: Workspace) -> None:
    folder = published.folder / "docs" / "results" / "tiny"
    for name in ("publish", "publish_variants", "publish_ablation"):
        about = (folder / f"{name.replace('publish', 'about')}.md").read_text()
        assert f"snakemake --cores 2 --configfile config/tiny.yaml -- {name} " in about
        for fact in ("Commit", "cpu ", "training.epochs", "datasets.mnist.epsilon"):
            assert fact in about, fact


def test_nothing_is_published_unasked(workspace: Workspace) -> None:
    assert not {rule for rule, _ in workspace.dry_run("--", "all") if rule.startswith(("publish", "variants", "ablation"))}
    assert not Path(workspace.folder, "docs").exists()
