"""Asked to stop, a training saves the step that it has just done; the next run resumes there and ends with the same bits."""

import os
import signal
import subprocess
from collections.abc import Callable

import torch

from advtrain.data.examples import load_examples
from advtrain.data.idx import IDX_FILES
from advtrain.results import checkpoint
from advtrain.system.settings import read_settings
from advtrain.training.plan import Plan
from advtrain.training.run import how_far, train
from processes import has_ended, script_in, wait_until
from workspace import CONFIG, Workspace, load_rules, merged

MODEL = "results/tiny/models/mnist/bim30_adv.pt"
TRAINING = {"seeds": [0], "examples": 64, "batch_size": 2, "epochs": 14, "monitor_examples": 16, "monitor_iterations": 2}
CHANGES = {"training": TRAINING, "defenses": {"bim30_adv": {"training": {"iterations": 20}}}}
STEPS = 32


def to_all(number: signal.Signals) -> Callable[[subprocess.Popen], None]:
    return lambda snakemake: os.killpg(snakemake.pid, number)


HOW = {
    "SIGTERM to the job": (lambda snakemake: script_in(snakemake).terminate(), "SIGTERM"),
    "SIGTERM to all, as from a cluster": (to_all(signal.SIGTERM), "SIGTERM"),
    "SIGINT to all, as from Ctrl-C": (to_all(signal.SIGINT), "SIGINT"),
    "SIGHUP to all, as from a terminal that closes": (to_all(signal.SIGHUP), "SIGHUP"),
    "SIGKILL to Snakemake": (subprocess.Popen.kill, "SIGTERM"),
}


def test_a_training_that_is_asked_to_stop_in_each_way_in_turn_saves_its_last_step_and_ends_with_the_same_bits(
    workspace: Workspace,
) -> None:
    """Each time within an epoch; without Snakemake's lock, which it leaves where it is killed itself."""
    workspace.configure(**CHANGES)
    saved = (workspace.folder / MODEL).with_suffix(".checkpoint")
    log = workspace.results / "logs/train/mnist/bim30_adv.log"
    told, trained = "", 0
    for how, (stop, reason) in HOW.items():
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        snakemake = workspace.start("--cores", "1", "--nolock", "--", MODEL)
        wait_until(lambda before=before: saved.exists() and saved.stat().st_mtime_ns > before, "another epoch")
        job = script_in(snakemake)
        stop(snakemake)
        wait_until(lambda job=job: has_ended(job), f"the training's end after {how}")
        assert snakemake.wait() != 0

        state = checkpoint.load(saved)["state"]
        running = state["running"]
        assert 0 < len(running["tallies"]) <= STEPS, "it is within an epoch"
        assert len(running["history"]) > trained
        trained = len(running["history"])
        assert f"Stopped: {reason}." in log.read_text()
        assert told in log.read_text(), "it resumed where the one before it stopped"
        told = f"resumes from a checkpoint, {how_far(state)}"

    workspace.make("--nolock", "--", MODEL)
    assert told in log.read_text()
    rules = load_rules(merged(CONFIG, CHANGES), "common.smk")
    data = load_examples(*(workspace.folder / "data" / "mnist" / name for name in IDX_FILES[:2])).subset(64, seed=0)
    (expected,) = train(read_settings(Plan, rules.plan("mnist", "bim30_adv")), data).weights.values()
    found = checkpoint.load(workspace.folder / MODEL)["weights"]["0"]
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
