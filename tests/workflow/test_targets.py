"""What Snakemake is asked to make, and what it says of a target that there is not."""

import pytest

from workspace import Workspace


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("results/tiny/mnist/propose.parquet", "results/tiny/mnist/proposed.parquet"),
        ("results/mnist/proposed.parquet", "results/tiny/mnist/proposed.parquet"),
        ("results/tiny/models/mnits/bim30_adv.pt", "results/tiny/models/mnist/bim30_adv.pt"),
        ("publish_variant", "publish_variants"),
    ],
)
def test_a_target_with_a_typo_is_told_the_nearest_one_and_the_names_that_there_are(
    target: str, meant: str, workspace: Workspace
) -> None:
    result = workspace.snakemake("--cores", "1", "--", "all", target)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    lines = result.stderr.partition("A target is wrong.\n")[2].splitlines()
    assert lines[0] == f"{target!r}: nothing makes it, did you mean {meant}?"
    assert lines[1] == "There are the data sets mnist, fmnist and the classifiers proposed, bim10_adv."


THEIRS = {"weights": "theirs.pth", "network": "small_cnn", "datasets": ["mnist"]}


def test_a_report_a_folder_and_a_classifier_of_another_data_set_have_answers_of_their_own(workspace: Workspace) -> None:
    workspace.configure(defenses={"theirs": {"title": "Theirs", "family": "none", "external": THEIRS}})
    (workspace.folder / "theirs.pth").touch()
    workspace.results.mkdir(parents=True)
    said = {
        "results/tiny/report.html": "an option makes it, `--report results/tiny/report.html`, with the target `all`",
        "results/tiny": "a folder; name a file in it, such as results/tiny/cost.md",
        "results/tiny/transfer/": "a folder; name a file in it, such as results/tiny/transfer/mnist.parquet",
        "results/tiny/fmnist/theirs.parquet": "theirs is a classifier of mnist, not of fmnist",
    }
    result = workspace.snakemake("--cores", "1", "--", "results/tiny/mnist/theirs.parquet", *said)
    lines = result.stderr.partition("A target is wrong.\n")[2].splitlines()
    assert lines[: len(said)] == [f"{target!r}: {answer}" for target, answer in said.items()]


def test_files_and_rules_of_any_stage_are_targets_and_without_one_it_is_all(workspace: Workspace) -> None:
    cell = ("results/tiny/models/fmnist/vanilla.pt", "results/tiny/audits/mnist/proposed__other.outcomes.parquet")
    whole = ("docs/results/tiny/table1.md", "data/mnist/t10k-labels-idx1-ubyte", "results/tiny/variants.html", "figure1")
    assert {rule for rule, _ in workspace.planned("--", *cell, *whole)} >= {"publish", "variants", "figure1", "audit_model"}
    assert workspace.planned().keys() == workspace.planned("--", "all").keys()
