"""Two runs at the same time: in one folder the second says so, in two neither notices the other."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from processes import DEADLINE_SECONDS, ends_within, scripts, wait_until
from workspace import Workspace, make_workspace

MODEL = "models/mnist/proposed.pt"
OTHER_MODEL = "models/mnist/vanilla.pt"


NO_LOCKS = """
import fcntl
def flock(file, operation):
    raise OSError({number}, "no lock")
fcntl.flock = flock
"""
WAIT_BEFORE_JOBS = """
import contextlib
import time
from pathlib import Path
from snakemake.persistence import PersistenceBase
written = PersistenceBase.lock
@contextlib.contextmanager
def lock(self):
    with written(self):
        Path("locked").touch()
        while not Path("go-on").exists():
            time.sleep(0.05)
        yield
PersistenceBase.lock = lock
"""
ANOTHER = "Another Snakemake runs in this folder. Wait until it ends, or work in a clone of your own."


def start_long_training(workspace: Workspace) -> subprocess.Popen:
    """A run with hours to go, which has the data and has saved its first epoch."""
    workspace.configure(training={"seeds": [0], "epochs": 9999})
    assert workspace.snakemake("--cores", "1", "--", "data/mnist/train-images-idx3-ubyte").returncode == 0
    first = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}")
    wait_until(checkpoint_of(workspace).exists, "the first checkpoint")
    return first


def checkpoint_of(workspace: Workspace) -> Path:
    return (workspace.results / MODEL).with_suffix(".checkpoint")


def said_by(workspace: Workspace) -> str:
    return (workspace.folder / "stderr").read_text()


def assert_goes_on(run: subprocess.Popen, workspace: Workspace) -> None:
    saved = checkpoint_of(workspace).stat().st_mtime_ns
    wait_until(lambda: checkpoint_of(workspace).stat().st_mtime_ns > saved, "another checkpoint")
    assert run.poll() is None


@pytest.mark.parametrize(
    ("model", "said"),
    [(MODEL, "Directory cannot be locked. Please make sure that no other Snakemake process"), (OTHER_MODEL, ANOTHER)],
    ids=["the same files", "other files"],
)
def test_a_second_run_in_the_same_folder_says_so_and_the_first_goes_on(model: str, said: str, workspace: Workspace) -> None:
    first = start_long_training(workspace)
    for _ in range(2):
        second = workspace.snakemake("--cores", "1", "--", f"results/tiny/{model}")
        assert second.returncode != 0
        assert said in second.stderr or ANOTHER in second.stderr
    assert not (workspace.results / OTHER_MODEL).exists()
    assert_goes_on(first, workspace)


def test_one_may_look_while_a_run_goes_on(workspace: Workspace) -> None:
    first = start_long_training(workspace)
    assert workspace.dry_run("--", f"results/tiny/{OTHER_MODEL}") == {("train", "mnist/vanilla")}
    assert_goes_on(first, workspace)


def test_two_scales_in_two_folders_at_once_do_not_disturb_each_other(workspace: Workspace, tmp_path: Path) -> None:
    """The same defense with another seed; both take the data sets from one local folder."""
    target = "results/tiny/mnist/proposed.parquet"
    alone = workspace.snakemake("--cores", "1", "--", target)
    assert alone.returncode == 0, alone.stderr
    expected = (workspace.folder / target).read_bytes()

    one, other = (make_workspace(tmp_path / name) for name in ("one", "other"))
    other.configure(training={"seeds": [7]})
    for each in (one, other):
        each.configure(local_folder=str(workspace.folder / "local"))
    running = [each.start("--cores", "1", "--", target) for each in (one, other)]
    for each in running:
        assert ends_within(each, DEADLINE_SECONDS)
    assert [each.returncode for each in running] == [0, 0], said_by(one) + said_by(other)
    assert (one.folder / target).read_bytes() == expected
    assert (other.folder / target).read_bytes() != expected


def test_locks_of_a_killed_run_are_cleared_and_those_of_a_living_one_are_not(workspace: Workspace) -> None:
    killed = start_long_training(workspace)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    locks = workspace.folder / ".snakemake" / "locks"
    assert list(locks.glob("*.lock")), "this is what is to be cleared"
    living = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}")
    wait_until(lambda: bool(scripts(living)), "the training's start")
    assert "Cleared .snakemake/locks/0.output.lock, which a run that was killed has left." in said_by(workspace)
    held = {file: file.read_text() for file in locks.glob("*.lock")}
    assert held
    workspace.dry_run("--", f"results/tiny/{OTHER_MODEL}")
    assert {file: file.read_text() for file in locks.glob("*.lock")} == held


def test_locks_of_a_run_on_another_machine_are_left_to_it(workspace: Workspace) -> None:
    """Some file systems do not show one machine the operating system's locks of the other."""
    killed = start_long_training(workspace)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (workspace.folder / ".snakemake" / "run").write_text("another machine")
    second = workspace.snakemake("--cores", "1", "--", f"results/tiny/{MODEL}")
    assert "Directory cannot be locked" in second.stderr
    assert workspace.snakemake("--unlock").returncode == 0
    third = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}")
    wait_until(lambda: bool(scripts(third)), "the training's start")


def test_locks_of_a_run_that_has_not_begun_its_jobs_are_left_to_it(workspace: Workspace, tmp_path: Path) -> None:
    """Between its locks and its first job a run may have to make environments, for minutes."""
    (tmp_path / "sitecustomize.py").write_text(WAIT_BEFORE_JOBS)
    first = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}", PYTHONPATH=str(tmp_path))
    wait_until((workspace.folder / "locked").exists, "the first run's locks")
    second = workspace.snakemake("--cores", "1", "--", f"results/tiny/{MODEL}")
    assert "Directory cannot be locked" in second.stderr
    workspace.dry_run("--", f"results/tiny/{MODEL}")
    (workspace.folder / "go-on").touch()
    assert ends_within(first, DEADLINE_SECONDS)
    assert first.returncode == 0, said_by(workspace)


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSYS, None), (errno.ENOLCK, None), (errno.EAGAIN, ANOTHER)])
def test_a_file_system_without_such_locks_leaves_it_to_snakemake(
    number: int, said: str | None, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_LOCKS.format(number=number))
    target = "data/mnist/train-images-idx3-ubyte"
    result = workspace.snakemake("--cores", "1", "--", target, PYTHONPATH=str(tmp_path))
    assert (result.returncode == 0) == (said is None), result.stderr
    assert said is None or said in result.stderr
