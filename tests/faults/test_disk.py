"""A disk that is full or read-only: a line that names the file, nothing good is lost, and the next run goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtrain.results.parquet import checkpoint
from advtrain.results.parquet import read_table
from counting import Count
from workspace import Workspace, make_workspace

MODEL = "results/tiny/models/mnist/proposed.pt"
CELL = "results/tiny/mnist/proposed.parquet"
FIGURE = "results/tiny/histories.svg"
MEGABYTE = 1 << 20


class Disk:
    """A file system in memory, of few megabytes, in the place of a workspace's results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def mount(self, options: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no right to mount a file system: {result.stderr.strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)

    def fill(self, leave: int) -> None:
        """Leave so many bytes free."""
        free = os.statvfs(self.folder)
        self.filler.write_bytes(bytes(free.f_bavail * free.f_frsize - leave))


@pytest.fixture
def small_disk(workspace: Workspace) -> Iterator[Disk]:
    disk = Disk(workspace.results)
    disk.mount(f"size={16 * MEGABYTE}")
    workspace.keep_only(datasets={"mnist"}, defenses={"fgsm_adv", "proposed"})
    yield disk
    disk.unmount()


def log_of(workspace: Workspace, name: str) -> str:
    return (workspace.results / "logs" / name).read_text()


def run(workspace: Workspace, target: str) -> subprocess.CompletedProcess:
    return workspace.snakemake("--cores", "1", "--", target)


def leftovers(workspace: Workspace) -> list[Path]:
    return list(workspace.results.rglob(".*.part"))


def test_a_training_goes_on_from_the_last_checkpoint_that_the_disk_had_room_for(
    workspace: Workspace, small_disk: Disk, tmp_path: Path, count: Count
) -> None:
    """A checkpoint of this training has 2.4 MB, and the next one is written beside it."""
    workspace.configure(training={"seeds": [0]})
    assert run(workspace, "data/mnist/train-images-idx3-ubyte").returncode == 0
    small_disk.fill(leave=4 * MEGABYTE)
    full = run(workspace, MODEL)
    assert full.returncode != 0
    assert "Error: results/tiny/models/mnist/proposed.checkpoint: No space left on device" in log_of(
        workspace, "train/mnist/proposed.log"
    )
    assert "No space left on device" in full.stderr, "Snakemake shows the log"
    saved = checkpoint.load(workspace.results / "models/mnist/proposed.checkpoint")
    assert len(saved["state"]["running"]["history"]) == 1
    assert leftovers(workspace) == []

    small_disk.filler.unlink()
    room = run(workspace, MODEL)
    assert room.returncode == 0, room.stderr
    log = log_of(workspace, "train/mnist/proposed.log")
    assert "mnist/proposed: goes on from a checkpoint, 0 seeds done, seed 0 after 1 epochs and 0 steps" in log

    undisturbed = make_workspace(tmp_path / "undisturbed")
    undisturbed.configure(training={"seeds": [0]})
    assert run(undisturbed, MODEL).returncode == 0
    assert (workspace.folder / MODEL).read_bytes() == (undisturbed.folder / MODEL).read_bytes()
    count("full disks survived", 1)


@pytest.mark.parametrize(
    ("target", "log", "named", "enough"),
    [
        (CELL, "collect/mnist/proposed.log", CELL, 8 * 1024),
        (FIGURE, "histories.log", "results/tiny/histories.", 32 * 1024),
    ],
    ids=["Parquet", "figure"],
)
def test_a_result_that_the_disk_has_no_room_for_is_named_and_is_not_there_in_half(
    target: str,
    log: str,
    named: str,
    enough: int,
    workspace: Workspace,
    small_disk: Disk,
    count: Count,
) -> None:
    assert run(workspace, target).returncode == 0
    whole = (workspace.folder / target).read_bytes()
    assert len(whole) > enough
    (workspace.folder / target).unlink()
    small_disk.fill(leave=enough)
    full = run(workspace, target)
    assert full.returncode != 0
    assert f"Error: {named}" in log_of(workspace, log)
    assert "No space left on device" in log_of(workspace, log)
    assert not (workspace.folder / target).exists()
    assert leftovers(workspace) == []

    small_disk.filler.unlink()
    assert run(workspace, target).returncode == 0
    assert (workspace.folder / target).read_bytes() == whole
    count("full disks survived", 1)


def test_results_that_are_read_only_are_an_error_and_stay_as_they_are(
    workspace: Workspace, small_disk: Disk, count: Count
) -> None:
    assert run(workspace, CELL).returncode == 0
    before = read_table(workspace.folder / CELL)
    small_disk.mount("remount,ro")
    again = workspace.snakemake("--cores", "1", "--forcerun", "collect", "--", CELL)
    assert again.returncode != 0
    assert "Write-protected output files for rule collect" in again.stderr
    assert CELL in again.stderr
    small_disk.mount("remount,rw")
    assert read_table(workspace.folder / CELL) == before
    assert run(workspace, CELL).returncode == 0
    count("read-only results survived", 1)
