"""A training that is killed goes on where it stood, and ends with the bits of one that was not."""

import os
import signal

import torch

from advtrain.results.parquet import checkpoint
from advtrain.data.examples import load_examples
from advtrain.data.idx import IDX_FILES
from advtrain.results.parquet import read_table
from advtrain.training.trainer import Plan, Trained, how_far, train
from processes import wait_until
from workspace import Workspace

TARGET = "results/tiny/models/mnist/proposed.pt"
EPOCHS = 12


def undisturbed(workspace: Workspace) -> Trained:
    """What the rule's script computes, in one go."""
    data = load_examples(*(workspace.folder / "data" / "mnist" / name for name in IDX_FILES[:2])).subset(96, seed=0)
    settings = {"method": "proposed", "step_divisor": 10, "reset_epochs": 3, "labels": "ground_truth"}
    return train(Plan("small_cnn", settings, 0.3, EPOCHS, 32, 1e-3, 16, 2), data, [0, 1])


def test_a_killed_training_resumes_and_ends_with_the_same_bits(workspace: Workspace) -> None:
    workspace.configure(training={"epochs": EPOCHS})
    saved = workspace.results / "models" / "mnist" / "proposed.checkpoint"
    log = workspace.results / "logs" / "train" / "mnist" / "proposed.log"
    process = workspace.start("--cores", "1", "--", TARGET)
    wait_until(saved.exists, "the first checkpoint")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (workspace.folder / TARGET).exists()
    state = checkpoint.load(saved)["state"]
    before = len(state["running"]["history"])
    assert 0 < before < EPOCHS

    result = workspace.snakemake("--cores", "1", "--", TARGET)
    assert result.returncode == 0, result.stderr
    first_line, second_line, *_ = log.read_text().splitlines()
    assert first_line == f"mnist/proposed: goes on from a checkpoint, {how_far(state)}"
    assert f"seed 0, epoch {before + 1}/{EPOCHS}" in second_line
    assert not saved.exists()
    resumed = checkpoint.load(workspace.folder / TARGET)["weights"]
    history = read_table(workspace.results / "models" / "mnist" / "proposed.history.parquet").to_pandas()

    straight = undisturbed(workspace)
    for seed, weights in straight.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, resumed[str(seed)][name]), (seed, name)
    columns = ["seed", "epoch", "loss", "clean_accuracy", "adversarial_accuracy", "robust_accuracy"]
    assert history[columns].to_dict("records") == [
        {column: getattr(record, column) for column in columns} for record in straight.history
    ]
