"""A data set, a network and a classifier of the user's own, through the whole workflow."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from advtrain.networks.own import own_network
from advtrain.results import checkpoint
from advtrain.results.parquet import read_provenance, read_table
from workspace import Workspace, make_workspace

NETWORK = """
from torch import nn


def normed():
    layers = [nn.Conv2d(3, 8, 4, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(160, 3)]
    return nn.Sequential(*layers)
"""
OWN = {
    "network": "nets.py:normed",
    "only": {"datasets": ["rgb"], "defenses": ["fgsm_adv", "theirs"]},
    "datasets": {"rgb": {"title": "Colours", "epsilon": 0.1, "npz": "rgb.npz"}},
    "defenses": {
        "theirs": {
            "title": "Theirs",
            "family": "single_adv",
            "external": {
                "weights": "theirs.pth",
                "network": "nets.py:normed",
                "datasets": ["rgb"],
                "mean": [0.2, 0.2, 0.2],
                "std": [0.5, 0.5, 0.5],
            },
        }
    },
}


def write_own(folder: Path) -> None:
    """Images of 12x10 whose brightest colour is their class, a network for them, and weights of it in a wrapper."""
    random, arrays = np.random.default_rng(0), {}
    for split, n in (("train", 96), ("test", 48)):
        arrays[f"y_{split}"] = np.arange(n) % 3
        arrays[f"x_{split}"] = random.integers(0, 60, (n, 12, 10, 3)).astype(np.uint8)
        arrays[f"x_{split}"][np.arange(n), :, :, arrays[f"y_{split}"]] += 150
    np.savez(folder / "rgb.npz", **arrays)
    (folder / "nets.py").write_text(NETWORK)
    weights = own_network(str(folder / "nets.py:normed"), seed=0).state_dict()
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}, "epoch": 3}, folder / "theirs.pth"
    )
    (folder / "config" / "own.yaml").write_text(yaml.safe_dump(OWN))


CONFIGURED = ("--configfile", "config/tiny.yaml", "config/own.yaml", "--")


@pytest.fixture(scope="session")
def brought(shared: Callable[..., Workspace]) -> Workspace:
    def make(folder: Path) -> None:
        workspace = make_workspace(folder)
        write_own(folder)
        (folder / "said").write_text(workspace.make(*CONFIGURED, "all").stdout)

    return shared("brought", make)


def test_the_external_classifier_stands_beside_the_trained_one_marked_and_without_a_price(brought: Workspace) -> None:
    table = read_table(brought.results / "table1.parquet").to_pandas()
    theirs = table[table["defense"] == "theirs"]
    assert set(theirs["title"]) == {"Theirs (external)"}
    assert set(theirs["group"]) == {"Colours"}
    assert "Strongest" in set(theirs["column"])
    assert "| Theirs (external) | n/a " in (brought.results / "headline.md").read_text()
    assert "Theirs (external) with weights from elsewhere" in (brought.results / "table1.md").read_text()
    audited = read_table(brought.results / "audit.parquet").to_pandas()
    assert audited.groupby(["defense", "seed"]).size().to_dict().keys() == {("fgsm_adv", 0), ("fgsm_adv", 1), ("theirs", 0)}
    assert not (brought.results / "models/rgb/theirs.history.parquet").exists()


def test_the_console_and_the_logs_say_what_was_brought(brought: Workspace) -> None:
    said = (brought.folder / "said").read_text()
    assert "rgb: 96 and 48 images of 3x12x10 in 3 classes" in said
    assert "warning: nothing holds these files to what they were" in said
    assert "rgb/theirs: theirs.pth as nets.py:normed; " in said
    imported = (brought.results / "logs/import_weights/rgb/theirs.log").read_text()
    assert "names begin with 'module.' in the file, with '' in the network\n" in imported
    assert "to do so add sha256: {" in (brought.results / "logs/import_data/rgb.log").read_text()
    log = (brought.results / "logs/train/rgb/fgsm_adv.log").read_text()
    assert log.count("nets.py:normed: no quicker form of it is known") == 1


def test_results_say_which_weights_and_which_file_of_a_network_made_them(brought: Workspace) -> None:
    theirs = checkpoint.load(brought.results / "models/rgb/theirs.pt")["provenance"]["record"]["settings"]
    trained = read_provenance(brought.results / "models/rgb/fgsm_adv.history.parquet").record["settings"]
    assert theirs["network_sha256"] == trained["network_sha256"]
    assert len(theirs["weights_sha256"]) == 64


def test_a_change_to_a_file_makes_anew_what_is_made_of_it(brought: Workspace) -> None:
    """What follows from these is made anew with them. One after the other: the tests of several processes share the folder."""
    made = {
        "rgb.npz": {("import_data", "rgb"), ("train", "rgb/fgsm_adv"), ("import_weights", "rgb/theirs")},
        "nets.py": {("train", "rgb/fgsm_adv"), ("import_weights", "rgb/theirs"), ("time_epochs", "")},
        "theirs.pth": {("import_weights", "rgb/theirs")},
    }
    for file, planned in made.items():
        path = brought.folder / file
        before, content = path.stat(), path.read_bytes()
        path.write_bytes(content + b"\n")
        try:
            jobs = brought.planned(*CONFIGURED, "all").keys()
        finally:
            path.write_bytes(content)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        making = {job for job in jobs if job[0] in ("import_data", "train", "import_weights", "time_epochs")}
        assert planned <= making, file
        assert ("import_data", "rgb") not in making - planned, file
        assert ("train", "rgb/fgsm_adv") not in making - planned, file


def test_a_single_file_of_an_external_classifier_trains_nothing(workspace: Workspace) -> None:
    write_own(workspace.folder)
    jobs = workspace.planned(*CONFIGURED, "results/tiny/rgb/theirs.parquet")
    assert {job[0] for job in jobs} == {
        "import_data", "import_weights", "sweep_bim", "trace_bim", "strong", "autoattack", "collect"
    }  # fmt: skip


@pytest.mark.parametrize("target", ["all", "results/tiny/table1_bars.svg", "histories", "cost"])
def test_external_classifiers_alone_are_not_compared_whatever_an_earlier_run_has_left(
    target: str, workspace: Workspace
) -> None:
    write_own(workspace.folder)
    workspace.edit("config/own.yaml", "  - fgsm_adv\n", "")
    workspace.results.mkdir(parents=True)
    for name in ("timing", "timing_blocks", "table1"):
        (workspace.results / f"{name}.parquet").touch()
    result = workspace.snakemake("--dry-run", *CONFIGURED, target)
    assert "or ask for the evaluation of one alone, such as results/tiny/rgb/theirs.parquet" in result.stderr + result.stdout
    assert result.returncode == 1
