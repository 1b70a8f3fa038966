"""The workflow on a real Slurm, through profiles/slurm as docs/cluster.md tells people to fill it in."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import torch
import yaml

from advtrain.results.parquet import checkpoint
from advtrain.data.examples import load_examples
from advtrain.data.idx import IDX_FILES
from advtrain.results.parquet import read_table
from advtrain.training.trainer import Plan, Trained, train
from processes import wait_until
from slurm_node import CPUS, GPU_MODEL, PARTITION, Job, SlurmNode, missing, running_slurm
from workspace import Workspace, make_workspace, merged

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
MODEL = "results/tiny/models/mnist/proposed.pt"
EPOCHS = 30
ON_CPU = {"device": "cpu"}  # the node's GPU is none: jobs ask for it, and compute without
SUBMITTED = ("train", "sweep_bim", "trace_bim", "strong", "autoattack", "audit_model", "transfer", "time_epochs")
TO_FILL_IN = {
    "default-resources": {"slurm_account": "my_group", "slurm_partition": PARTITION},
    "slurm-status-command": "squeue",  # this Slurm keeps no accounts
}
PROFILE = "profiles/slurm/profile.yaml"
WAIT = "slurm-init-seconds-before-status-checks"
IN_A_HURRY = {WAIT: 4, "seconds-between-status-checks": 1, "latency-wait": 5}


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmNode]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-of-tests-", dir="/run"))
    try:
        with running_slurm(folder) as node:
            yield node
    finally:
        shutil.rmtree(folder)


def fill_in(workspace: Workspace, **set_resources: dict[str, object]) -> None:
    """What a user does to the shipped profile; `set_resources` on top of its own."""
    file = workspace.folder / PROFILE
    changes = {"set-resources": {rule: ON_CPU | set_resources.get(rule, {}) for rule in SUBMITTED}}
    for change in (TO_FILL_IN, IN_A_HURRY, changes):
        file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), change)))


def on_slurm(*arguments: str) -> tuple[str, ...]:
    return ("--workflow-profile", "profiles/slurm", *arguments)


@contextmanager
def snakemake_in_background(workspace: Workspace, *arguments: str) -> Iterator[subprocess.Popen]:
    """Snakemake, killed if it is still there at the end."""
    process = workspace.start(*on_slurm(*arguments))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def output(workspace: Workspace) -> str:
    return "".join((workspace.folder / name).read_text() for name in ("stdout", "stderr"))


def saved(workspace: Workspace) -> Path:
    return workspace.folder / Path(MODEL).with_suffix(".checkpoint")


def epochs_saved(workspace: Workspace) -> int:
    return len(checkpoint.load(saved(workspace))["state"]["running"]["history"])


def first_epoch_logged(workspace: Workspace) -> int:
    """The first epoch that the last attempt has trained: Snakemake starts each attempt's log afresh."""
    log = workspace.results / "logs" / "train" / "mnist" / "proposed.log"
    match = re.search(r"epoch (\d+)/", log.read_text())
    assert match, log.read_text()
    return int(match.group(1))


def running_job(slurm: SlurmNode, workspace: Workspace) -> Job:
    """The workspace's training, once it is on the node and has saved a checkpoint."""
    wait_until(saved(workspace).exists, "the first checkpoint")
    (job,) = slurm.jobs(workspace.folder)
    return job


@pytest.fixture
def training(workspace: Workspace) -> Workspace:
    """A workspace with a training of some seconds, the profile filled in."""
    workspace.configure(training={"epochs": EPOCHS})
    fill_in(workspace)
    return workspace


@dataclass(frozen=True)
class Hanging:
    """A training that hangs, with a time limit of a minute."""

    workspace: Workspace
    snakemake: subprocess.Popen
    epochs: int


@pytest.fixture(scope="module", autouse=True)
def hanging(slurm: SlurmNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hanging]:
    """Slurm and the plugin take minutes to end it and to see that; the other tests run in the meantime."""
    workspace = make_workspace(tmp_path_factory.mktemp("hanging") / "workflow")
    workspace.configure(training={"epochs": EPOCHS})
    fill_in(workspace, train={"gpu": 0, "runtime": "1m"})
    with snakemake_in_background(workspace, "--", MODEL) as process:
        slurm.freeze(running_job(slurm, workspace))
        yield Hanging(workspace, process, epochs_saved(workspace))


@pytest.fixture(scope="module")
def straight(hanging: Hanging) -> Trained:
    """What the training gives in one go, without Snakemake and Slurm."""
    data = load_examples(*(hanging.workspace.folder / "data" / "mnist" / name for name in IDX_FILES[:2])).subset(96, seed=0)
    settings = {"method": "proposed", "step_divisor": 10, "reset_epochs": 3, "labels": "ground_truth"}
    return train(Plan("small_cnn", settings, 0.3, EPOCHS, 32, 1e-3, 16, 2), data, [0, 1])


def assert_same_weights(workspace: Workspace, expected: Trained) -> None:
    ended = checkpoint.load(workspace.folder / MODEL)["weights"]
    for seed, weights in expected.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, ended[str(seed)][name]), (seed, name)


@pytest.fixture(scope="module")
def finished_on_slurm(slurm: SlurmNode, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[Job]]:
    """All of the workflow, with one data set and two defenses; a GPU in each of the three ways, two rules without."""
    workspace = make_workspace(tmp_path_factory.mktemp("slurm") / "workflow")
    workspace.keep_only(datasets={"mnist"}, defenses={"fgsm_adv", "proposed"})
    fill_in(
        workspace,
        trace_bim={"gpu": 0, "gres": "gpu:1"},
        audit_model={"gpu_model": GPU_MODEL},
        strong={"gpu": 0},
        autoattack={"gpu": 0},
    )
    result = workspace.snakemake(*on_slurm("--", "all"))
    assert result.returncode == 0, result.stdout + result.stderr
    return workspace, slurm.jobs(workspace.folder)


def test_every_job_on_the_cluster_ends_well_and_leaves_its_results(
    finished_on_slurm: tuple[Workspace, list[Job]], count: Callable[[str, int], None]
) -> None:
    workspace, jobs = finished_on_slurm
    each_once = ("transfer", "time_epochs")
    assert Counter(job.rule for job in jobs) == {rule: 1 if rule in each_once else 2 for rule in SUBMITTED}
    assert {job.cell for job in jobs if job.rule not in each_once} == {"mnist_fgsm_adv", "mnist_proposed"}
    assert {job.state for job in jobs} == {"COMPLETED"}
    for defense in ("fgsm_adv", "proposed"):
        evaluations = read_table(workspace.results / "mnist" / f"{defense}.parquet")
        assert {"bim", "pgd", "autoattack"} <= set(evaluations["attack"].to_pylist())
    assert "Proposed" in (workspace.results / "table1.md").read_text()
    count("jobs run on a real Slurm", len(jobs))


def test_jobs_ask_for_a_gpu_by_number_by_model_or_by_gres(finished_on_slurm: tuple[Workspace, list[Job]]) -> None:
    _, jobs = finished_on_slurm
    gpus = {job.rule: job.gpus for job in jobs}
    assert gpus.pop("strong") == gpus.pop("autoattack") == 0
    assert gpus == dict.fromkeys(set(SUBMITTED) - {"strong", "autoattack"}, 1)
    asked = {job.rule: [value for name, value in job.fields.items() if name.startswith("TresPer")] for job in jobs}
    assert asked["train"] == ["gres:gpu:1"]
    assert asked["audit_model"] == [f"gres:gpu:{GPU_MODEL}:1"]


def test_no_two_jobs_share_the_one_gpu_while_others_run_beside_them(finished_on_slurm: tuple[Workspace, list[Job]]) -> None:
    _, jobs = finished_on_slurm
    pairs = list(combinations(jobs, 2))
    assert not [(one, other) for one, other in pairs if one.gpus and other.gpus and one.overlaps(other)]
    assert [(one, other) for one, other in pairs if one.gpus + other.gpus < 2 and one.overlaps(other)]


def test_a_cancelled_job_is_named_with_its_log_and_a_rerun_ends_well(
    slurm: SlurmNode, training: Workspace, straight: Trained, count: Callable[[str, int], None]
) -> None:
    with snakemake_in_background(training, "--retries", "0", "--", MODEL) as process:
        job = running_job(slurm, training)
        slurm.cancel(job)
        assert process.wait(timeout=120) == 1
    said = output(training)
    assert "Error in rule train" in said
    assert f"SLURM-job '{job.number}' failed, SLURM status is: 'CANCELLED'" in said
    assert "log: results/tiny/logs/train/mnist/proposed.log" in said

    result = training.snakemake(*on_slurm("--", MODEL))
    assert result.returncode == 0, result.stdout + result.stderr
    assert first_epoch_logged(training) > 1
    assert_same_weights(training, straight)
    count("kills survived on a real Slurm", 1)


def test_an_interrupted_snakemake_cancels_its_jobs(slurm: SlurmNode, training: Workspace) -> None:
    """Before it first asks for their states: interrupted while it asks, Snakemake cancels nothing, as docs/cluster.md warns."""
    training.configure(training={"epochs": 100 * EPOCHS})
    training.edit(PROFILE, f"{WAIT}: {IN_A_HURRY[WAIT]}", f"{WAIT}: 40")
    with snakemake_in_background(training, "--", MODEL) as process:
        running_job(slurm, training)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 1
    wait_until(lambda: [job.state for job in slurm.jobs(training.folder)] == ["CANCELLED"], "the cancellation")
    result = training.snakemake(*on_slurm("--dry-run", "--", MODEL))
    assert result.returncode == 0, "the folder should not be locked"


def test_a_job_outlives_a_killed_snakemake_and_a_rerun_takes_its_result(
    slurm: SlurmNode, training: Workspace, straight: Trained, count: Callable[[str, int], None]
) -> None:
    with snakemake_in_background(training, "--", MODEL) as process:
        running_job(slurm, training)
        process.kill()
        process.wait()
    wait_until(lambda: [job.state for job in slurm.jobs(training.folder)] == ["COMPLETED"], "the end of the job")
    refused = training.snakemake(*on_slurm("--", MODEL))
    assert "Directory cannot be locked" in refused.stderr, "jobs of the killed run might be in the queue"
    assert training.snakemake("--unlock").returncode == 0
    result = training.snakemake(*on_slurm("--", MODEL))
    assert (result.returncode, "Nothing to be done" in result.stderr) == (0, True), result.stderr
    assert_same_weights(training, straight)
    count("kills survived on a real Slurm", 1)


def test_a_training_that_its_time_limit_ends_goes_on_from_its_checkpoint(
    slurm: SlurmNode, hanging: Hanging, straight: Trained, count: Callable[[str, int], None]
) -> None:
    assert 0 < hanging.epochs < EPOCHS
    assert hanging.snakemake.wait(timeout=300) == 0, output(hanging.workspace)
    assert [job.state for job in slurm.jobs(hanging.workspace.folder)] == ["TIMEOUT", "COMPLETED"]
    assert first_epoch_logged(hanging.workspace) > hanging.epochs, "it should go on, not start afresh"
    assert_same_weights(hanging.workspace, straight)
    count("kills survived on a real Slurm", 1)


def test_the_timing_has_the_whole_node(finished_on_slurm: tuple[Workspace, list[Job]]) -> None:
    _, jobs = finished_on_slurm
    (job,) = (job for job in jobs if job.rule == "time_epochs")
    assert (job.gpus, job.fields["NumCPUs"], job.fields["OverSubscribe"]) == (1, str(CPUS), "NO")
