"""Checkpoints and models that are damaged or of another configuration: a line names them, and they are left."""

from pathlib import Path

from processes import traps
from workspace import Workspace

MODEL = "results/tiny/models/mnist/vanilla.pt"
SWEEP = "results/tiny/evaluations/mnist/vanilla.sweep.parquet"
CHECKPOINT = MODEL.replace(".pt", ".checkpoint")


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
