"""A training that is killed goes on where it stood, and ends with the bits of one that was not."""

import os
import signal
import subprocess
import time
from pathlib import Path

import torch

from advtrain import checkpoint
from advtrain.results import read_table
from workspace import Workspace

TARGET = "results/tiny/models/mnist/proposed.pt"
DEADLINE_SECONDS = 120
EPOCHS = 12


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, "the training did not get that far"
        time.sleep(0.05)


def test_a_killed_training_resumes_and_ends_with_the_same_bits(workspace: Workspace) -> None:
    workspace.configure(training={"epochs": EPOCHS})
    saved = workspace.results / "models" / "mnist" / "proposed.checkpoint"
    log = workspace.results / "logs" / "train" / "mnist" / "proposed.log"
    process = subprocess.Popen(
        workspace.command("--cores", "1", "--", TARGET),
        cwd=workspace.folder,
        env=workspace.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(saved)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (workspace.folder / TARGET).exists()
    before = len(checkpoint.load(saved)["state"]["running"]["history"])
    assert 0 < before < EPOCHS

    assert workspace.snakemake("--unlock").returncode == 0
    result = workspace.snakemake("--cores", "1", "--", TARGET)
    assert result.returncode == 0, result.stderr
    first_line = log.read_text().splitlines()[0]
    assert f"seed 0, epoch {before + 1}/{EPOCHS}" in first_line, "it should go on, not start afresh"
    assert not saved.exists()
    resumed = checkpoint.load(workspace.folder / TARGET)["weights"]
    history = read_table(workspace.results / "models" / "mnist" / "proposed.history.parquet").to_pandas()

    straight = workspace.snakemake("--cores", "1", "--forcerun", "train", "--", TARGET)
    assert straight.returncode == 0, straight.stderr
    undisturbed = checkpoint.load(workspace.folder / TARGET)["weights"]
    for seed, weights in undisturbed.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, resumed[seed][name]), (seed, name)
    again = read_table(workspace.results / "models" / "mnist" / "proposed.history.parquet").to_pandas()
    assert history.drop(columns="seconds").equals(again.drop(columns="seconds"))
