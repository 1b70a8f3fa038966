"""SIGKILL at every stage, to jobs and to Snakemake: a plain rerun ends with the bits of a run that nothing disturbed.

pytest tests/faults/test_kills.py --kills 200     more kills at random moments than the usual few
"""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from advtrain.results.parquet import checkpoint
from advtrain.results.parquet import read_table
from advtrain.training.trainer import how_far
from counting import Count
from processes import DEADLINE_SECONDS, ends_within, scripts, trap
from workspace import Workspace, make_workspace

CELL = "results/tiny/mnist/proposed.parquet"
EPOCHS = 6
MOMENTS = {
    "train": (
        ("before an update", 2),
        ("half .checkpoint", 1),
        ("after an update", 5),
        ("within an attack", 4),
        ("between epochs", 2),
        ("before moving .checkpoint", 2),
        ("after moving .checkpoint", 3),
        ("half .history.parquet", 1),
        ("after moving .history.parquet", 1),
        ("half .pt", 1),
        ("before moving .pt", 1),
        ("after moving .pt", 1),
    ),
    "sweep_bim": (("within an attack", 7), ("half .parquet", 1)),
    "trace_bim": (("before moving .parquet", 1),),
    "strong": (("within an attack", 9),),
    "autoattack": (("half .checkpoint", 2), ("after moving .checkpoint", 3), ("half .parquet", 1)),
    "collect": (("half .parquet", 1), ("after moving .parquet", 1)),
}
OUTPUTS = {
    "train": "results/tiny/models/mnist/proposed.pt",
    "sweep_bim": "results/tiny/evaluations/mnist/proposed.sweep.parquet",
    "trace_bim": "results/tiny/evaluations/mnist/proposed.trace.parquet",
    "strong": "results/tiny/evaluations/mnist/proposed.strong.parquet",
    "autoattack": "results/tiny/evaluations/mnist/proposed.autoattack.parquet",
    "collect": CELL,
}


def cell_workspace(folder: Path) -> Workspace:
    workspace = make_workspace(folder)
    workspace.configure(training={"epochs": EPOCHS})
    return workspace


def bits(workspace: Workspace) -> dict[str, bytes]:
    """All results of the cell, but for the seconds that epochs took."""
    files = {
        str(file.relative_to(workspace.results)): file.read_bytes()
        for file in workspace.results.rglob("*proposed*")
        if file.suffix in (".pt", ".parquet")
    }
    history = read_table(workspace.results / "models/mnist/proposed.history.parquet").drop_columns("seconds")
    return files | {"models/mnist/proposed.history.parquet": str(history.to_pylist()).encode()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    workspace = cell_workspace(tmp_path_factory.mktemp("undisturbed") / "workflow")
    result = workspace.snakemake("--cores", "2", "--", CELL)
    assert result.returncode == 0, result.stderr
    return bits(workspace)


def assert_ends_well(workspace: Workspace, undisturbed: dict[str, bytes]) -> None:
    """A plain rerun ends, with the right bits, and nothing that kills have left is in the folder or asks for another run."""
    result = workspace.snakemake("--cores", "2", "--", CELL)
    assert result.returncode == 0, result.stderr
    assert bits(workspace) == undisturbed
    left = [file for pattern in (".*.part", "*.checkpoint") for file in workspace.results.rglob(pattern)]
    assert left == []
    assert workspace.dry_run("--", CELL) == set()


def saved(workspace: Workspace) -> str | None:
    """What the training has to say of the checkpoint that it goes on from."""
    file = workspace.results / "models/mnist/proposed.checkpoint"
    return f"goes on from a checkpoint, {how_far(checkpoint.load(file)['state'])}\n" if file.exists() else None


def run_into_trap(workspace: Workspace, rule: str, moment: str, n: int) -> None:
    """A plain run up to the rule's output, in which its script is killed at the n-th such moment."""
    result = workspace.snakemake("--cores", "2", "--", OUTPUTS[rule], **trap(rule, moment, n))
    assert (workspace.folder / "sprung").exists(), f"{rule} did not come to {moment!r} {n} times\n{result.stderr}"
    (workspace.folder / "sprung").unlink()
    assert result.returncode != 0


def test_a_kill_at_any_moment_of_any_stage_costs_only_the_work_since_the_last_checkpoint(
    tmp_path: Path, undisturbed: dict[str, bytes], count: Count
) -> None:
    workspace = cell_workspace(tmp_path / "workflow")
    for rule, moments in MOMENTS.items():
        for moment, n in moments:
            before = saved(workspace)
            run_into_trap(workspace, rule, moment, n)
            if rule == "train":
                log = (workspace.results / "logs/train/mnist/proposed.log").read_text()
                assert before in log if before else "goes on" not in log
            count(f"kills survived in {rule}", 1)
    assert_ends_well(workspace, undisturbed)


def kill(victim: str, snakemake: subprocess.Popen) -> str:
    """Kill Snakemake alone, one of its jobs' scripts (if one runs), or all of its processes; returns who it was."""
    if victim == "a job" and (jobs := scripts(snakemake)):
        os.kill(random.choice(jobs), signal.SIGKILL)
        return victim
    if victim == "Snakemake alone":
        snakemake.kill()
        return victim
    os.killpg(snakemake.pid, signal.SIGKILL)
    return "all at once"


def test_kills_at_random_moments_of_jobs_and_of_snakemake_leave_nothing_in_the_way(
    tmp_path: Path, undisturbed: dict[str, bytes], count: Count, request: pytest.FixtureRequest
) -> None:
    kills, number = request.config.getoption("--kills"), 0
    random.seed(kills)
    while number < kills:
        workspace = cell_workspace(tmp_path / str(number))
        ended = False
        while number < kills and not ended:
            snakemake = workspace.start("--cores", "2", "--", CELL)
            if ended := ends_within(snakemake, random.uniform(0.5, 8)):
                assert snakemake.returncode == 0, (workspace.folder / "stderr").read_text()
            else:
                victim = kill(random.choice(["Snakemake alone", "a job", "all at once"]), snakemake)
                assert ends_within(snakemake, DEADLINE_SECONDS)
                count(f"kills survived at random moments: {victim}", 1)
                number += 1
        assert_ends_well(workspace, undisturbed)
