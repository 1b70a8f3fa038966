"""Checkpoints that are damaged, of another version, of another configuration: never loaded, never in silence."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advtrain.results.parquet import checkpoint
from advtrain.system.errors import InputError
from counting import Count
from processes import trap
from workspace import Workspace

STATE = {"finished": {0: {"weights": {"0.weight": torch.arange(300.0)}}}, "running": None}
IDENTITY = {"epochs": 3, "epsilon": 0.3, "code": "a" * 64}
MODEL = "results/tiny/models/mnist/vanilla.pt"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save_state(tmp_path / "c", IDENTITY, STATE)
    return tmp_path / "c"


def assert_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        checkpoint.load_if_same(file, IDENTITY)
    assert str(file) in str(error.value)


def test_a_checkpoint_with_a_flipped_bit_is_refused_wherever_it_is(saved: Path, count: Count) -> None:
    """torch.load alone takes half of them, with other numbers in them."""
    whole = saved.read_bytes()
    assert checkpoint.load_if_same(saved, IDENTITY) is not None
    random.seed(0)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.randrange(8)
        assert_refused(saved, bytes(damaged))
    count("checkpoints with a flipped bit refused", len(whole))


def test_a_checkpoint_that_is_cut_short_is_refused_wherever_it_is(saved: Path, count: Count) -> None:
    whole = saved.read_bytes()
    for length in range(len(whole)):
        assert_refused(saved, whole[:length])
    count("checkpoints cut short refused", len(whole))


@pytest.mark.parametrize("content", [{}, {"identity": IDENTITY}, {"identity": 3, "state": STATE}, {"state": STATE}])
def test_a_checkpoint_of_another_version_is_refused(content: dict, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", content)
    with pytest.raises(InputError, match="not a checkpoint of this version; delete it to start afresh"):
        checkpoint.load_if_same(tmp_path / "c", IDENTITY)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda content: content[:-1], "damaged, or of an earlier version: its SHA-256 is not at its end; delete it"),
        (
            lambda content: content,
            "checkpoint of another configuration (learning_rate was 0.001, is 0.002); delete it to start afresh",
        ),
    ],
    ids=["cut short", "another configuration"],
)
def test_a_training_that_finds_such_a_checkpoint_says_what_to_do_and_leaves_it(
    spoil: Callable[[bytes], bytes], said: str, workspace: Workspace
) -> None:
    """A run that was killed in its first epoch under another configuration left it."""
    workspace.configure(training={"seeds": [0], "epochs": 2, "checkpoint_epochs": 1})
    file = workspace.results / "models/mnist/vanilla.checkpoint"
    assert workspace.snakemake("--cores", "1", "--", MODEL, **trap("train", "after moving .checkpoint", 1)).returncode != 0
    left = spoil(file.read_bytes())
    file.write_bytes(left)

    workspace.configure(training={"learning_rate": 0.002})
    result = workspace.snakemake("--cores", "1", "--", MODEL)
    assert result.returncode != 0
    assert f"Error: results/tiny/models/mnist/vanilla.checkpoint: {said}" in result.stderr
    assert file.read_bytes() == left
    file.unlink()
    assert workspace.snakemake("--cores", "1", "--", MODEL).returncode == 0
