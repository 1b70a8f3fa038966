"""SIGKILL at every stage, to jobs and to Snakemake: another run ends with the bits of one that nothing disturbed."""

import os
import re
import signal
from pathlib import Path

import pytest

from advtrain.results.parquet import read_table
from processes import traps, wait_until
from workspace import Workspace, make_workspace

CELL = "results/tiny/mnist/proposed.parquet"
MODEL = "results/tiny/models/mnist/proposed.pt"
MOMENTS = {
    "train": (
        "before update 2",
        "half .checkpoint 1",
        "after update 15",
        "after epoch 2",
        "before .checkpoint 2",
        "after .checkpoint 2",
        "half .history.parquet 1",
        "after .pt 1",
    ),
    "sweep_bim": ("before projection 7",),
    "strong": ("after .checkpoint 1", "half .checkpoint 2", "before .parquet 1"),
    "autoattack": ("half .checkpoint 2", "after .checkpoint 3", "half .parquet 1"),
    "collect": ("half .parquet 1", "after .parquet 1"),
}
"""Two seeds of six epochs of six updates, saved after each epoch, are killed at these."""
RESUMED = (
    *("0 seeds done, seed 0 after 2 epochs and 0 steps", "0 seeds done, seed 0 after 3 epochs and 0 steps"),
    *("0 seeds done, seed 0 after 4 epochs and 0 steps", "1 seeds done", "2 seeds done", "2 seeds done"),
)
"""From where each training that finds a checkpoint has to resume: no finished epoch that was saved is trained again."""


def bits(workspace: Workspace) -> dict[str, bytes]:
    """All results of the cell, but for the seconds that epochs took."""
    files = {
        str(file.relative_to(workspace.results)): file.read_bytes()
        for file in workspace.results.rglob("*proposed*")
        if file.suffix in (".pt", ".parquet") and not file.name.startswith(".")
    }
    history = read_table(workspace.results / "models/mnist/proposed.history.parquet").drop_columns("seconds")
    return files | {"models/mnist/proposed.history.parquet": str(history.to_pylist()).encode()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    workspace = make_workspace(tmp_path_factory.mktemp("undisturbed") / "workflow")
    workspace.make("--", CELL)
    return bits(workspace)


def test_kills_at_each_stage_cost_only_the_work_since_the_last_checkpoint(
    workspace: Workspace, undisturbed: dict[str, bytes]
) -> None:
    run = workspace.make("--retries", str(len(MOMENTS["train"])), "--", CELL, **traps(MOMENTS))
    for script, moments in MOMENTS.items():
        assert (workspace.folder / f"sprung-{script}").read_text().splitlines() == list(moments)
    told = run.stderr + (workspace.results / "logs/train/mnist/proposed.log").read_text()
    assert tuple(re.findall(r"resumes from a checkpoint, (.*)", told)) == RESUMED
    assert bits(workspace) == undisturbed
    assert list(workspace.results.rglob("*.checkpoint")) == []
    assert workspace.planned("--", CELL).keys() == set()


def test_a_killed_snakemake_leaves_a_lock_and_once_that_is_gone_the_training_resumes(
    workspace: Workspace, undisturbed: dict[str, bytes]
) -> None:
    running = workspace.start("--cores", "1", "--", MODEL)
    wait_until((workspace.folder / MODEL).with_suffix(".checkpoint").exists, "the first checkpoint")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    locked = workspace.snakemake("--cores", "1", "--", MODEL)
    assert (locked.returncode, "--unlock" in locked.stderr) == (1, True)
    assert workspace.snakemake("--unlock").returncode == 0
    workspace.make("--", MODEL)
    assert "resumes from a checkpoint" in (workspace.results / "logs/train/mnist/proposed.log").read_text()
    assert (workspace.folder / MODEL).read_bytes() == undisturbed[str(Path(MODEL).relative_to("results/tiny"))]
