"""Checkpoints and models that are damaged or of another configuration: refused with a line that names them, and left."""

import random
from pathlib import Path

import torch

from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from processes import traps
from workspace import Workspace

IDENTITY = {"epochs": 3, "epsilon": 0.3, "code": "a" * 64}
WEIGHTS = torch.arange(300.0)
MODEL = "results/tiny/models/mnist/vanilla.pt"
SWEEP = "results/tiny/evaluations/mnist/vanilla.sweep.parquet"
CHECKPOINT = MODEL.replace(".pt", ".checkpoint")


def assert_refused_or_unchanged(file: Path, content: bytes) -> bool:
    """Whether a damaged checkpoint was refused; the format has bits that say nothing of the values."""
    file.write_bytes(content)
    try:
        state = checkpoint.load_if_same(file, IDENTITY)
    except InputError as error:
        assert str(file) in str(error)
        return True
    assert state is not None
    assert torch.equal(state["weights"], WEIGHTS)
    return False


def test_a_flipped_bit_or_a_missing_end_never_changes_a_value(tmp_path: Path) -> None:
    """torch.load alone takes half of them, with other numbers in them."""
    file = tmp_path / "c"
    checkpoint.save_state(file, IDENTITY, {"weights": WEIGHTS})
    whole = file.read_bytes()
    random.seed(0)
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.randrange(8)
        refused += assert_refused_or_unchanged(file, bytes(damaged))
    assert refused > len(whole) / 2
    for length in range(0, len(whole), 7):
        assert assert_refused_or_unchanged(file, whole[:length])


def spoil(file: Path) -> None:
    """Flip a bit in a file's tensors."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def assert_refuses(workspace: Workspace, target: str, file: str, *said: str) -> None:
    """A run of `target` ends with a line that names `file` and says some words, and leaves it as it is."""
    left = (workspace.folder / file).read_bytes()
    result = workspace.snakemake("--cores", "1", "--rerun-triggers", "input", "params", "--", target)
    assert result.returncode != 0
    (line,) = {line.strip() for line in result.stderr.splitlines() if line.strip().startswith(f"Error: {file}")}
    for words in said:
        assert words in line
    assert (workspace.folder / file).read_bytes() == left


def test_damaged_checkpoints_and_models_and_those_of_another_configuration_are_refused_and_left(workspace: Workspace) -> None:
    workspace.configure(training={"seeds": [0], "epochs": 2})
    killed = workspace.snakemake("--cores", "1", "--", MODEL, **traps({"train": ["after .checkpoint 1"]}))
    assert killed.returncode != 0
    whole = (workspace.folder / CHECKPOINT).read_bytes()
    spoil(workspace.folder / CHECKPOINT)
    assert_refuses(workspace, MODEL, CHECKPOINT, "damaged", "delete it")
    (workspace.folder / CHECKPOINT).write_bytes(whole)
    workspace.configure(training={"learning_rate": 0.002})
    assert_refuses(workspace, MODEL, CHECKPOINT, "learning_rate was 0.001, is 0.002", "delete it")

    (workspace.folder / CHECKPOINT).unlink()
    workspace.make("--", MODEL)
    spoil(workspace.folder / MODEL)
    assert_refuses(workspace, SWEEP, MODEL, "damaged")
