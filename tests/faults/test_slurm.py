"""The workflow on a real Slurm, through profiles/slurm as docs/cluster.md tells users to fill it in."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from subprocess import Popen

import pytest
import yaml

from advtrain.results import checkpoint
from advtrain.results.parquet import read_table
from processes import wait_until
from slurm_node import CPUS, GPU_MODEL, PARTITION, jobs, missing, run, running_slurm
from workspace import Workspace, make_workspace, merged

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(missing()), reason=missing())]
CELL, TIMING = "results/tiny/mnist/proposed.parquet", "results/tiny/timing.parquet"
MODEL = "results/tiny/models/mnist/proposed.pt"
LONG = {"training": {"seeds": [0]}, "defenses": {"proposed": {"training": {"epochs": 60}}}}
SUBMITTED = ("train", "sweep_bim", "trace_bim", "strong", "autoattack", "time_epochs")
ON_SLURM = ("--workflow-profile", "profiles/slurm")


def fill_in(workspace: Workspace, **set_resources: dict[str, object]) -> None:
    """What a user does to the shipped profile, for a Slurm without accounts; with `set_resources`."""
    file = workspace.folder / "profiles/slurm/profile.yaml"
    changes = {
        "config": "device=cpu",  # the node's GPU is none: jobs ask for it, and compute without
        "default-resources": {"slurm_account": "my_group", "slurm_partition": PARTITION},
        "slurm-status-command": "squeue",
        "slurm-init-seconds-before-status-checks": 4,
        "seconds-between-status-checks": 1,
        "latency-wait": 5,
        "set-resources": {rule: {"gpu": 1} | set_resources.get(rule, {}) for rule in SUBMITTED},
    }
    file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), changes)))


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-of-tests-", dir="/run"))
    with running_slurm(folder):
        yield
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model of the long training in one go, without Slurm."""
    workspace = make_workspace(tmp_path_factory.mktemp("straight") / "workflow")
    workspace.configure(**LONG)
    workspace.make("--", MODEL)
    return (workspace.folder / MODEL).read_bytes()


def start_training(workspace: Workspace, **resources: object) -> Popen:
    """Snakemake with a long training that is on the node and has saved a checkpoint."""
    workspace.configure(**LONG)
    fill_in(workspace, train=resources)
    process = workspace.start(*ON_SLURM, "--", MODEL)
    wait_until((workspace.folder / MODEL).with_suffix(".checkpoint").exists, "the first checkpoint")
    return process


@pytest.fixture(scope="module", autouse=True)
def hanging(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Popen, int]]:
    """A training that hangs, as on a file system that does, with a time limit of a minute, and the epochs that it has saved.

    Slurm and the plugin take minutes to end it and to see that; the other tests run in the meantime.
    """
    workspace = make_workspace(tmp_path_factory.mktemp("hanging") / "workflow")
    process = start_training(workspace, gpu=0, runtime="1m")
    (job,) = jobs(workspace.folder)
    run("scancel", "--signal=STOP", job["JobId"])
    saved = checkpoint.load((workspace.folder / MODEL).with_suffix(".checkpoint"))["state"]["running"]
    yield workspace, process, len(saved["history"])
    process.kill()
    process.wait()


def test_a_job_outlives_a_killed_snakemake_and_another_run_takes_its_result(workspace: Workspace, straight: bytes) -> None:
    process = start_training(workspace)
    process.kill()
    process.wait()
    wait_until(lambda: [job["JobState"] for job in jobs(workspace.folder)] == ["COMPLETED"], "the end of the job")
    assert "Directory cannot be locked" in workspace.snakemake(*ON_SLURM, "--", MODEL).stderr
    assert workspace.snakemake("--unlock").returncode == 0
    result = workspace.snakemake(*ON_SLURM, "--", MODEL)
    assert (result.returncode, "Nothing to be done" in result.stderr) == (0, True), result.stderr
    assert (workspace.folder / MODEL).read_bytes() == straight


def test_every_job_ends_well_with_the_gpu_the_memory_and_the_time_that_it_asks_for(workspace: Workspace) -> None:
    """A GPU in each of the three ways, and two rules without."""
    without = {"gpu": 0}
    asked = {"trace_bim": {"gpu": 0, "gres": "gpu:1"}, "sweep_bim": {"gpu_model": GPU_MODEL}, "strong": without}
    fill_in(workspace, **asked, autoattack=without)
    result = workspace.snakemake(*ON_SLURM, "--", CELL, TIMING)
    assert result.returncode == 0, result.stdout + result.stderr
    done = jobs(workspace.folder)
    assert {job["JobState"] for job in done} == {"COMPLETED"}
    of_rule = {job["rule"]: job for job in done}
    assert sorted(of_rule) == sorted(SUBMITTED)
    assert len(done) == len(SUBMITTED)
    number, model = "gres:gpu:1", f"gres:gpu:{GPU_MODEL}:1"
    gpus = {"train": number, "time_epochs": number, "trace_bim": number, "sweep_bim": model, "strong": "", "autoattack": ""}
    assert {rule: job["gpus"] for rule, job in of_rule.items()} == gpus
    assert (of_rule["train"]["TimeLimit"], of_rule["train"]["MinMemoryNode"]) == ("12:00:00", "8000M")
    whole = of_rule["time_epochs"]
    assert (whole["NumCPUs"], whole["OverSubscribe"]) == (str(CPUS), "NO"), "the timing has the whole node"
    for one, other in combinations(done, 2):
        if one["gpus"] and other["gpus"]:
            assert one["EndTime"] <= other["StartTime"] or other["EndTime"] <= one["StartTime"], "they share the one GPU"
    assert {"bim", "pgd", "autoattack"} <= set(read_table(workspace.folder / CELL)["attack"].to_pylist())


def test_a_training_that_its_time_limit_ends_resumes_from_its_checkpoint(
    hanging: tuple[Workspace, Popen, int], straight: bytes
) -> None:
    workspace, process, epochs = hanging
    assert process.wait(timeout=400) == 0, (workspace.folder / "stderr").read_text()
    assert [job["JobState"] for job in jobs(workspace.folder)] == ["TIMEOUT", "COMPLETED"]
    log = (workspace.results / "logs/train/mnist/proposed.log").read_text()
    (resumed_after,) = re.findall(r"resumes from a checkpoint, .*seed 0 after (\d+) epochs", log)
    assert int(resumed_after) >= epochs, "it may have trained on until its time was over"
    assert (workspace.folder / MODEL).read_bytes() == straight
