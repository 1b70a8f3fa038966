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


def mount(folder: Path, options: str) -> None:
    """A file system in memory, at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"no right to mount a file system: {result.stderr.strip()}")


@pytest.fixture
def disk(workspace: Workspace) -> Iterator[Path]:
    """The workspace's results on a disk of few megabytes."""
    mount(workspace.results, f"size={16 * MEGABYTE}")
    yield workspace.results
    subprocess.run(["umount", "--lazy", str(workspace.results)], check=False, capture_output=True)


def fill(disk: Path, leave: int) -> Path:
    """Leave so many bytes free; returns the file that takes the others."""
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - leave))
    return disk / "filler"


def assert_no_room(workspace: Workspace, target: str, named: str) -> None:
    """A run of `target` fails, names the file that there is no room for, and leaves no half file."""
    result = workspace.snakemake("--cores", "1", "--", target)
    assert result.returncode != 0
    assert f"Error: {named}: {FULL}" in result.stderr
    assert list(workspace.results.rglob(".*.part")) == []


def test_a_full_or_read_only_disk_is_named_leaves_no_half_file_and_the_next_run_resumes(
    workspace: Workspace, disk: Path, tmp_path: Path
) -> None:
    """A checkpoint of this training has 2 MB, and the next one is written before it is replaced."""
    workspace.make("--", "data/mnist/train-images-idx3-ubyte")
    filler = fill(disk, leave=3 * MEGABYTE)
    assert_no_room(workspace, MODEL, CHECKPOINT)
    assert len(checkpoint.load(workspace.folder / CHECKPOINT)["state"]["running"]["history"]) == 1
    filler.unlink()
    workspace.make("--", SWEEP)
    log = (workspace.results / "logs/train/mnist/fgsm_adv.log").read_text()
    assert "resumes from a checkpoint, 0 seeds done, seed 0 after 1 epochs and 0 steps" in log
    undisturbed = make_workspace(tmp_path / "undisturbed")
    undisturbed.make("--", SWEEP)
    for result in (MODEL, SWEEP):
        assert (workspace.folder / result).read_bytes() == (undisturbed.folder / result).read_bytes()

    whole = (workspace.folder / SWEEP).read_bytes()
    (workspace.folder / SWEEP).unlink()
    filler = fill(disk, leave=PAGE)
    assert len(whole) > PAGE
    assert_no_room(workspace, SWEEP, SWEEP)
    assert not (workspace.folder / SWEEP).exists()
    filler.unlink()
    workspace.make("--", SWEEP)

    mount(disk, "remount,ro")
    again = workspace.snakemake("--cores", "1", "--forcerun", "sweep_bim", "--", SWEEP)
    assert again.returncode != 0
    assert "Write-protected output files for rule sweep_bim" in again.stderr
    assert SWEEP in again.stderr
    assert (workspace.folder / SWEEP).read_bytes() == whole
