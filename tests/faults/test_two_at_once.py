"""Two runs at the same time: in one folder the second says so, in two neither notices the other."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from processes import DEADLINE_SECONDS, ends_within, scripts, wait_until
from workspace import Workspace, make_workspace

MODEL = "models/mnist/bim30_adv.pt"
OTHER_MODEL = "models/mnist/vanilla.pt"


def slow(workspace: Workspace) -> None:
    """A training of BIM(30)-Adv that takes some seconds."""
    workspace.configure(
        training={"seeds": [0], "examples": 192, "batch_size": 4},
        defenses={"bim30_adv": {"training": {"iterations": 40}}},
    )


def start_training(workspace: Workspace) -> subprocess.Popen:
    first = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}")
    wait_until((workspace.results / "models/mnist/bim30_adv.checkpoint").exists, "the first checkpoint")
    return first


def said_by(workspace: Workspace) -> str:
    return (workspace.folder / "stderr").read_text()


@pytest.mark.parametrize("model", [MODEL, OTHER_MODEL])
def test_a_second_run_in_the_same_folder_says_so_and_the_first_goes_on(model: str, workspace: Workspace) -> None:
    """Even on other files: both need the data set, which the one may download and the other reads."""
    slow(workspace)
    first = start_training(workspace)
    second = workspace.snakemake("--cores", "1", "--", f"results/tiny/{model}")
    assert second.returncode != 0
    assert "Directory cannot be locked. Please make sure that no other Snakemake process" in second.stderr
    assert ends_within(first, DEADLINE_SECONDS)
    assert first.returncode == 0, said_by(workspace)
    assert (workspace.results / MODEL).exists()
    assert not (workspace.results / OTHER_MODEL).exists()


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
    slow(workspace)
    killed = start_training(workspace)
    os.killpg(killed.pid, signal.SIGKILL)
    assert ends_within(killed, DEADLINE_SECONDS)
    locks = workspace.folder / ".snakemake" / "locks"
    assert list(locks.glob("*.lock")), "this is what is to be cleared"
    living = workspace.start("--cores", "1", "--", f"results/tiny/{MODEL}")
    wait_until(lambda: bool(scripts(living)), "the training's start")
    assert "Cleared .snakemake/locks/0.output.lock, which a run that was killed has left." in said_by(workspace)
    held = {file: file.read_text() for file in locks.glob("*.lock")}
    assert held
    refused = workspace.snakemake("--cores", "1", "--", f"results/tiny/{MODEL}")
    assert "Directory cannot be locked" in refused.stderr
    assert {file: file.read_text() for file in Path(locks).glob("*.lock")} == held
    assert ends_within(living, DEADLINE_SECONDS)
    assert living.returncode == 0, said_by(workspace)
