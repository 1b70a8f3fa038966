"""A disk that is full or read-only: a line that names the file, no half file, and the next run resumes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtrain.results import checkpoint
from workspace import Workspace, make_workspace

MODEL = "results/tiny/models/mnist/fgsm_adv.pt"
CHECKPOINT = MODEL.replace(".pt", ".checkpoint")
SWEEP = "results/tiny/evaluations/mnist/fgsm_adv.sweep.parquet"
MEGABYTE = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
FULL = "No space left on device"


class Disk:
    """A file system in memory, of a few megabytes, in the place of a workspace's results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / "filler"

    def mount(self, options: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no right to mount a file system: {result.stderr.strip()}")

    def fill(self, leave: int) -> None:
        """Leave so many bytes free."""
        free = os.statvfs(self.folder)
        self.filler.write_bytes(bytes(free.f_bavail * free.f_frsize - leave))


@pytest.fixture
def disk(workspace: Workspace) -> Iterator[Disk]:
    disk = Disk(workspace.results)
    disk.mount(f"size={16 * MEGABYTE}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk.folder)], check=False, capture_output=True)


def fails(workspace: Workspace, target: str, named: str) -> str:
    """What a run says that fails for want of room for a file."""
    result = workspace.snakemake("--cores", "1", "--", target)
    assert result.returncode != 0
    assert f"Error: {named}: {FULL}" in result.stderr
    assert list(workspace.results.rglob(".*.part")) == []
    return result.stderr


def test_a_full_or_read_only_disk_is_named_leaves_no_half_file_and_the_next_run_resumes(
    workspace: Workspace, disk: Disk, tmp_path: Path
) -> None:
    """A checkpoint of this training has 2 MB, and the next one is written beside it."""
    workspace.make("--", "data/mnist/train-images-idx3-ubyte")
    disk.fill(leave=3 * MEGABYTE)
    fails(workspace, MODEL, CHECKPOINT)
    assert len(checkpoint.load(workspace.folder / CHECKPOINT)["state"]["running"]["history"]) == 1
    disk.filler.unlink()
    workspace.make("--", SWEEP)
    log = (workspace.results / "logs/train/mnist/fgsm_adv.log").read_text()
    assert "resumes from a checkpoint, 0 seeds done, seed 0 after 1 epochs and 0 steps" in log
    undisturbed = make_workspace(tmp_path / "undisturbed")
    undisturbed.make("--", SWEEP)
    for result in (MODEL, SWEEP):
        assert (workspace.folder / result).read_bytes() == (undisturbed.folder / result).read_bytes()

    whole = (workspace.folder / SWEEP).read_bytes()
    (workspace.folder / SWEEP).unlink()
    disk.fill(leave=PAGE)
    assert len(whole) > PAGE
    fails(workspace, SWEEP, SWEEP)
    assert not (workspace.folder / SWEEP).exists()
    disk.filler.unlink()
    workspace.make("--", SWEEP)

    disk.mount("remount,ro")
    again = workspace.snakemake("--cores", "1", "--forcerun", "sweep_bim", "--", SWEEP)
    assert again.returncode != 0
    assert "Write-protected output files for rule sweep_bim" in again.stderr
    assert SWEEP in again.stderr
    assert (workspace.folder / SWEEP).read_bytes() == whole
