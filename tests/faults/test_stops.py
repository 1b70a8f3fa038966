"""Asked to stop, a training saves the step that it has just done and ends within seconds; the next run goes on from there."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain.results.parquet import checkpoint
from advtrain.training.trainer import how_far
from counting import Count
from processes import DEADLINE_SECONDS, ends_within, has_ended, scripts, wait_until
from workspace import Workspace, make_workspace

GRACE_SECONDS = 5
TARGET = "results/tiny/models/mnist/bim30_adv.pt"


def long_training(folder: Path) -> Workspace:
    """One seed, two epochs of many short steps, seconds each."""
    workspace = make_workspace(folder)
    changes = {"seeds": [0], "examples": 192, "batch_size": 2, "epochs": 2}
    workspace.configure(training=changes, defenses={"bim30_adv": {"training": {"iterations": 60}}})
    return workspace


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    workspace = long_training(tmp_path_factory.mktemp("undisturbed") / "workflow")
    result = workspace.snakemake("--cores", "1", "--", TARGET)
    assert result.returncode == 0, result.stderr
    return (workspace.folder / TARGET).read_bytes()


def saved(workspace: Workspace) -> Path:
    return workspace.results / "models/mnist/bim30_adv.checkpoint"


def start_and_come_into_the_second_epoch(training: Workspace) -> subprocess.Popen:
    snakemake = training.start("--cores", "1", "--", TARGET)
    wait_until(saved(training).exists, "the first epoch's checkpoint")
    time.sleep(0.3)
    return snakemake


def to_the_job(snakemake: subprocess.Popen) -> None:
    (job,) = scripts(snakemake)
    os.kill(job, signal.SIGTERM)


def to_all(number: signal.Signals) -> Callable[[subprocess.Popen], None]:
    return lambda snakemake: os.killpg(snakemake.pid, number)


def kill_snakemake(snakemake: subprocess.Popen) -> None:
    snakemake.kill()


HOW = {
    "SIGTERM to the job": (to_the_job, "SIGTERM"),
    "SIGTERM to all, as from a cluster": (to_all(signal.SIGTERM), "SIGTERM"),
    "SIGINT to all, as from Ctrl-C": (to_all(signal.SIGINT), "SIGINT"),
    "SIGHUP to all, as from a terminal that closes": (to_all(signal.SIGHUP), "SIGHUP"),
    "SIGKILL to Snakemake": (kill_snakemake, "SIGTERM"),
}


@pytest.mark.parametrize("how", HOW)
def test_a_training_that_is_asked_to_stop_saves_its_last_step_in_time(
    how: str, undisturbed: bytes, tmp_path: Path, count: Count
) -> None:
    stop, reason = HOW[how]
    training = long_training(tmp_path / "workflow")
    snakemake = start_and_come_into_the_second_epoch(training)
    (job,) = scripts(snakemake)
    stop(snakemake)
    asked = time.monotonic()
    wait_until(lambda: has_ended(job), "the training's end")
    assert time.monotonic() - asked < GRACE_SECONDS
    assert ends_within(snakemake, DEADLINE_SECONDS)
    assert snakemake.returncode != 0

    state = checkpoint.load(saved(training))["state"]
    assert len(state["running"]["history"]) == 1
    assert 0 < len(state["running"]["tallies"]) < 96, "it is within the epoch"
    log = training.results / "logs/train/mnist/bim30_adv.log"
    assert f"Stopped: {reason}. What is done is saved; run again to go on from there." in log.read_text()

    result = training.snakemake("--cores", "1", "--", TARGET)
    assert result.returncode == 0, result.stderr
    assert f"goes on from a checkpoint, {how_far(state)}" in log.read_text().splitlines()[0]
    assert (training.folder / TARGET).read_bytes() == undisturbed
    count(f"stops with everything saved: {how}", 1)
