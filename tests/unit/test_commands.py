"""Bad input to the scripts: one line that names it, a non-zero exit, and no half-written output."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import collect
from advtrain.results.parquet import checkpoint
from advtrain.system.errors import Stopped
from advtrain.data.idx import write_idx
from advtrain.results.parquet import read_table
from cli.command import Command
from synthetic import write_synthetic_dataset

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def train_options(tmp_path: Path) -> dict[str, str]:
    write_synthetic_dataset(tmp_path / "data", seed=0)
    return {
        "dataset": "mnist",
        "images": str(tmp_path / "data" / "train-images-idx3-ubyte"),
        "labels": str(tmp_path / "data" / "train-labels-idx1-ubyte"),
        "defense": "proposed",
        "settings": '{"method": "proposed", "step_divisor": 10, "reset_epochs": 20, "labels": "ground_truth"}',
        "epsilon": "0.3",
        "network": "small_cnn",
        "seeds": "0,1",
        "examples": "64",
        "subset-seed": "0",
        "epochs": "2",
        "batch-size": "32",
        "learning-rate": "0.001",
        "monitor-examples": "16",
        "monitor-iterations": "2",
        "checkpoint-epochs": "1",
        "device": "cpu",
        "cuda-graph": "0",
        "checkpoint": str(tmp_path / "out" / "m.checkpoint"),
        "model": str(tmp_path / "out" / "m.pt"),
        "history": str(tmp_path / "out" / "m.history.parquet"),
    }


def arguments(options: dict[str, str]) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name}", value)]


def run(script: str, options: dict[str, str]) -> Result:
    return CliRunner().invoke(importlib.import_module(script).main, arguments(options))


def assert_refused(result: Result, named: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), "a traceback"
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1, result.stderr
    assert named in lines[0], lines[0]


def test_training_ends_with_model_and_history_and_without_its_checkpoint(train_options: dict[str, str], tmp_path: Path) -> None:
    result = run("train", train_options)
    assert result.exit_code == 0, result.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["m.history.parquet", "m.pt"]
    assert len(result.stderr.splitlines()) == 4, "a line for each epoch of each seed"
    assert "100% of mnist/proposed: seed 1, epoch 2/2" in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("settings", '{"method": "magic"}', "method 'magic' is not a defense"),
        ("settings", '{"method": "vanilla", "labels": "ground_truth"}', "defense vanilla takes no labels"),
        ("settings", '["vanilla"]', "is not a JSON object"),
        ("settings", "{method: vanilla}", "is not JSON"),
        ("network", "resnet", "network 'resnet' is unknown"),
        ("seeds", "0;1", "'0;1' is not a list of integers"),
        ("epsilon", "-0.3", "epsilon is -0.3"),
        ("epsilon", "0", "epsilon is 0.0"),
        ("epochs", "0", "'--epochs': 0 is not in the range"),
        ("batch-size", "many", "'many' is not a valid integer"),
        ("examples", "1000", "1000 examples were asked for, but the data set has 192"),
        ("device", "cuda:9", "device 'cuda:9' is not on this machine"),
        ("learning-rate", "1e30", "in epoch 1, step"),
        ("learning-rate", "-1", "learning_rate is -1.0"),
        ("images", "missing-ubyte", "missing-ubyte: no such file"),
    ],
)
def test_a_wrong_option_of_train_is_named(
    train_options: dict[str, str], tmp_path: Path, option: str, value: str, named: str
) -> None:
    assert_refused(run("train", {**train_options, option: value}), named)
    assert not (tmp_path / "out" / "m.pt").exists()
    assert not (tmp_path / "out" / "m.history.parquet").exists()


def test_a_truncated_file_of_images_is_named(train_options: dict[str, str]) -> None:
    images = Path(train_options["images"])
    images.write_bytes(images.read_bytes()[:-100])
    assert_refused(run("train", train_options), "the file is damaged")


def test_swapped_images_and_labels_are_named(train_options: dict[str, str]) -> None:
    result = run("train", {**train_options, "images": train_options["labels"]})
    assert_refused(result, "magic number is 2049, expected 2051")


def test_labels_of_other_images_are_named(train_options: dict[str, str]) -> None:
    write_idx(Path(train_options["labels"]), np.zeros(5))
    assert_refused(run("train", train_options), "labels are [5] torch.int64 for 192 images")


@pytest.fixture
def interrupted(train_options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Options of a training that was stopped after its first checkpoint."""

    class StoppedError(Exception):
        pass

    def save_and_stop(*arguments: object) -> None:
        save_state(*arguments)
        raise StoppedError

    save_state = checkpoint.save_state
    monkeypatch.setattr(checkpoint, "save_state", save_and_stop)
    assert isinstance(run("train", train_options).exception, StoppedError)
    monkeypatch.setattr(checkpoint, "save_state", save_state)
    return train_options


def test_a_stopped_training_goes_on_at_its_checkpoint(interrupted: dict[str, str]) -> None:
    result = run("train", interrupted)
    assert result.exit_code == 0
    first, *epochs = result.stderr.splitlines()
    assert first == "mnist/proposed: goes on from a checkpoint, 0 seeds done, seed 0 after 1 epochs and 0 steps"
    assert len(epochs) == 3, "three of the four epochs were left"


def test_a_checkpoint_serves_a_training_of_more_epochs(interrupted: dict[str, str]) -> None:
    result = run("train", {**interrupted, "epochs": "3"})
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1 + 5, "five of the six epochs were left"


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("batch-size", "16", "batch_size was 32, is 16"),
        ("epsilon", "0.2", "epsilon was 0.3, is 0.2"),
        ("examples", "65", "data was"),
        ("subset-seed", "1", "data was"),
        ("settings", '{"method": "fgsm_adv", "labels": "ground_truth"}', "code was"),
        ("settings", '{"method": "proposed", "step_divisor": 5, "reset_epochs": 20, "labels": "ground_truth"}', "defense was"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_named_and_kept(
    interrupted: dict[str, str], option: str, value: str, named: str
) -> None:
    result = run("train", {**interrupted, option: value})
    assert_refused(result, "checkpoint of another configuration")
    assert named in result.stderr
    assert Path(interrupted["checkpoint"]).exists()


def test_a_damaged_checkpoint_is_named(train_options: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    Path(train_options["checkpoint"]).write_bytes(b"half a checkpoint")
    assert_refused(run("train", train_options), "m.checkpoint: damaged")


def test_a_folder_that_cannot_be_written_is_named(train_options: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    assert_refused(run("train", train_options), str(tmp_path / "out"))


def test_a_full_disk_is_named_and_leaves_no_half_written_output(train_options: dict[str, str], tmp_path: Path) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        f"sys.path.insert(0, {str(SOURCE)!r}); sys.argv = ['train.py', *{arguments(train_options)!r}]; "
        f"runpy.run_path({str(SOURCE / 'train.py')!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "File too large" in result.stderr.splitlines()[-1]
    assert "m.checkpoint" in result.stderr.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def cell_options(train_options: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What every evaluation of a cell is asked, with a model that is none."""
    (tmp_path / "m.pt").write_bytes(b"not a model")
    return {
        **{key: train_options[key] for key in ("dataset", "defense", "images", "labels", "epsilon", "device")},
        "examples": "64",
        "subset-seed": "0",
        "batch-size": "32",
        "model": str(tmp_path / "m.pt"),
        "output": str(tmp_path / "out.parquet"),
    }


FIXED_STEP = {"fixed-step-divisor": "10", "fixed-step-iterations": "2"}
SWEEP = {"iterations": "1,2", **FIXED_STEP}
PGD = '{"iterations": 4, "step_factor": 2.5, "restarts": 2, "seed": 0}'


@pytest.mark.parametrize(
    ("script", "own", "wrong", "named"),
    [
        ("sweep_bim", SWEEP, {}, "m.pt: damaged"),
        ("sweep_bim", SWEEP, {"epsilon": "0"}, "epsilon is 0.0"),
        ("sweep_bim", SWEEP, {"fixed-step-divisor": "0"}, "0.0 is not in the range"),
        ("trace_bim", {}, {"iterations": "0"}, "0 is not in the range"),
        ("strong", {"pgd": PGD}, {}, "m.pt: damaged"),
        ("strong", {}, {"pgd": '{"iterations": 4}'}, "it needs iterations, step_factor, restarts and seed"),
        ("strong", {}, {"pgd": PGD.replace("4", "0")}, "iterations is 0"),
    ],
)
def test_a_wrong_option_of_an_evaluation_is_named(
    cell_options: dict[str, str], tmp_path: Path, script: str, own: dict[str, str], wrong: dict[str, str], named: str
) -> None:
    assert_refused(run(script, {**cell_options, **own, **wrong}), named)
    assert not (tmp_path / "out.parquet").exists()


def test_a_cuda_graph_is_for_cuda(train_options: dict[str, str], tmp_path: Path) -> None:
    weights = []
    for switch in ("0", "1"):
        assert run("train", {**train_options, "cuda-graph": switch}).exit_code == 0
        weights.append(checkpoint.load(tmp_path / "out" / "m.pt")["weights"])
    for seed, state in weights[0].items():
        assert all(torch.equal(tensor, weights[1][seed][name]) for name, tensor in state.items())


@pytest.mark.parametrize(("script", "own"), [("sweep_bim", SWEEP), ("trace_bim", {"iterations": "2"})])
def test_all_seeds_at_once_give_the_table_of_one_by_one(
    cell_options: dict[str, str],
    train_options: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    own: dict[str, str],
) -> None:
    """As on a GPU; rounding has not turned a decision of these."""
    assert run("train", train_options).exit_code == 0
    options = {**cell_options, "model": train_options["model"], **own}
    tables = []
    for at_once in (False, True):
        monkeypatch.setattr("cell.quicker_at_once", lambda device, answer=at_once: answer)
        assert run(script, options).exit_code == 0
        tables.append(read_table(tmp_path / "out.parquet"))
    assert tables[0].column("seed").to_pylist() == sorted(tables[0].column("seed").to_pylist())
    assert tables[0].equals(tables[1])


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    result = CliRunner().invoke(collect.main, [str(tmp_path / "t.parquet"), "--output", str(tmp_path / "out.parquet")])
    assert_refused(result, "t.parquet: not a Parquet file")


def test_a_data_set_that_no_source_has_is_one_message(tmp_path: Path) -> None:
    options = {
        "dataset": "kmnist",
        "hashes": json.dumps({}),
        "local": str(tmp_path / "local"),
        "folder": str(tmp_path / "data" / "kmnist"),
    }
    assert_refused(run("download", options), "no source has the data set 'kmnist'")


OUT_OF_MEMORY: dict[str, Callable[[], object]] = {
    "CUDA out of memory. Tried to allocate 20.00 MiB.": lambda: raise_(
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nOf the allocated memory ...")
    ),
    "CUBLAS_STATUS_ALLOC_FAILED": lambda: raise_(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")),
    "MPS backend out of memory": lambda: raise_(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")),
    "can't allocate memory": lambda: torch.empty(1 << 55),
    "Unable to allocate": lambda: np.empty(1 << 55),
}


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("said", OUT_OF_MEMORY)
def test_too_little_memory_is_a_line_that_says_what_to_lower(said: str) -> None:
    """On the CPU it is torch's and numpy's own; no GPU is here, so there it is the error that torch has for it."""

    @click.command(cls=Command, lower="evaluation.batch_size")
    def main() -> None:
        OUT_OF_MEMORY[said]()

    result = CliRunner().invoke(main)
    assert result.exit_code == 1
    first, second = result.output.splitlines()
    assert said in first
    assert second == "There is too little memory; lower evaluation.batch_size"


def test_what_was_asked_to_stop_says_so_and_ends_with_a_status_of_its_own() -> None:
    @click.command(cls=Command)
    def main() -> None:
        raise Stopped("SIGTERM")

    result = CliRunner().invoke(main)
    assert result.exit_code == 143
    assert result.output == "Stopped: SIGTERM. What is done is saved; run again to go on from there.\n"


def test_another_runtime_error_is_none_of_memory() -> None:
    @click.command(cls=Command, lower="evaluation.batch_size")
    def main() -> None:
        raise RuntimeError("shapes do not match")

    assert "shapes do not match" in str(CliRunner().invoke(main).exception)


def test_every_script_that_computes_says_what_to_lower() -> None:
    scripts = [
        file.stem for file in SOURCE.glob("*.py") if '"--device"' in file.read_text() or "@cell_options" in file.read_text()
    ]
    computing = {script: importlib.import_module(script).main for script in scripts if script != "cell"}
    assert len(computing) >= 8
    for script, main in computing.items():
        assert ".batch_size" in main.lower, script
