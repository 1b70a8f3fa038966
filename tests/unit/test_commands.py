"""Bad input to the scripts: one line that names it, a non-zero exit, and no half-written output."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from advtrain.networks.plain import new_network
from advtrain.results import checkpoint
from advtrain.results.code import SRC, code_digest
from advtrain.results.parquet import read_provenance
from advtrain.results.provenance import Provenance
from advtrain.system.device import device_settings, numerics
from advtrain.system.errors import Stopped
from cli.command import Command
from synthetic import write_synthetic_dataset
from trainings import PROPOSED, plan

CPU = torch.device("cpu")
PLAN = dataclasses.asdict(plan("proposed", seeds=[0, 1], examples=64, epochs=2, monitor_examples=16, schedule=[]))
ON_IMAGES = {"epsilon": 0.3, "examples": 64, "subset_seed": 0}
STRONG = {**ON_IMAGES, "pgd": {"iterations": 4, "step_factor": 2.5, "restarts": 2, "seed": 0}}

Options = dict[str, Any]


@pytest.fixture
def train_options(tmp_path: Path) -> Options:
    write_synthetic_dataset(tmp_path / "data", seed=0)
    return {
        "dataset": "mnist",
        "images": tmp_path / "data" / "train-images-idx3-ubyte",
        "labels": tmp_path / "data" / "train-labels-idx1-ubyte",
        "defense": "proposed",
        "plan": PLAN,
        "checkpoint-epochs": 1,
        "device": "cpu",
        "cuda-graph": 1,  # which is for CUDA alone
        "checkpoint": tmp_path / "out" / "m.checkpoint",
        "model": tmp_path / "out" / "m.pt",
        "history": tmp_path / "out" / "m.history.parquet",
    }


@pytest.fixture
def cell_options(train_options: Options, tmp_path: Path) -> Options:
    """What every evaluation of a cell is asked, with a model that is none."""
    (tmp_path / "m.pt").write_bytes(b"not a model")
    options = {key: train_options[key] for key in ("dataset", "defense", "images", "labels", "device")}
    return {**options, "batch-size": 32, "model": tmp_path / "m.pt", "output": tmp_path / "out.parquet"}


def arguments(options: Options) -> list[str]:
    texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in options.items()}
    return [text for name, value in texts.items() for text in (f"--{name}", value)]


def run(script: str, options: Options) -> Result:
    return CliRunner().invoke(importlib.import_module(script).main, arguments(options))


def assert_refused(result: Result, named: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), "a traceback"
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1, result.stderr
    assert named in lines[0], lines[0]


def test_training_ends_with_model_and_history_and_without_its_checkpoint(train_options: Options, tmp_path: Path) -> None:
    result = run("train", train_options)
    assert result.exit_code == 0, result.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["m.history.parquet", "m.pt"]
    assert len(result.stderr.splitlines()) == 4, "a line for each epoch of each seed"
    assert "100% of mnist/proposed: seed 1, epoch 2/2" in result.stdout
    made = read_provenance(train_options["history"])
    assert made.record["settings"] == {"dataset": "mnist", **PLAN}
    assert numerics(CPU).items() <= made.record.items()
    assert made.digest == Provenance.from_content(checkpoint.load(train_options["model"])["provenance"]).digest


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("plan", {"defense": {"method": "magic"}}, "method 'magic' is not a defense"),
        ("plan", {"defense": {"method": "vanilla", "labels": "predicted"}}, "defense vanilla takes no labels"),
        ("plan", {"epsilon": -0.3}, "epsilon is -0.3"),
        ("plan", {"examples": 1000}, "1000 examples were asked for, but the data set has 192"),
        ("plan", {"learning_rate": 1e30}, "in epoch 1, step"),
        ("checkpoint-epochs", 0, "'--checkpoint-epochs': 0 is not in the range"),
        ("device", "cuda:9", "device 'cuda:9' is not on this machine"),
        ("images", "missing-ubyte", "missing-ubyte: no such file"),
    ],
)
def test_a_wrong_option_of_train_is_named(train_options: Options, option: str, value: Any, named: str) -> None:
    changed = PLAN | value if isinstance(value, dict) else value
    assert_refused(run("train", {**train_options, option: changed}), named)
    assert not train_options["model"].exists()
    assert not train_options["history"].exists()


@pytest.fixture
def interrupted(train_options: Options, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Options of a training that ended after its first checkpoint."""
    save_state = checkpoint.save_state

    def save_and_end(*arguments: Any) -> None:
        save_state(*arguments)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save_and_end)
        assert isinstance(run("train", train_options).exception, ZeroDivisionError)
    return train_options


@pytest.mark.parametrize(("changes", "left"), [({}, 3), ({"epochs": 3}, 5), ({"seeds": [0, 1, 2]}, 5)], ids=str)
def test_an_interrupted_training_resumes_at_its_checkpoint(changes: dict, left: int, interrupted: Options) -> None:
    result = run("train", {**interrupted, "plan": PLAN | changes})
    assert result.exit_code == 0
    first, *epochs = result.stderr.splitlines()
    assert "0 seeds done, seed 0 after 1 epochs and 0 steps" in first
    assert len(epochs) == left


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch_size": 16}, "batch_size was 32, is 16"),
        ({"epsilon": 0.2}, "epsilon was 0.3, is 0.2"),
        ({"schedule": [[1, 0.5]]}, "schedule was (), is ((1.0, 0.5),)"),
        ({"examples": 65}, "data was"),
        ({"subset_seed": 1}, "data was"),
        ({"defense": {"method": "vanilla"}}, "code was"),
        ({"defense": {**PROPOSED, "step_divisor": 5}}, "defense was"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_configuration_is_named_and_kept(changes: dict, named: str, interrupted: Options) -> None:
    result = run("train", {**interrupted, "plan": PLAN | changes})
    assert_refused(result, "checkpoint of another configuration")
    assert named in result.stderr
    assert interrupted["checkpoint"].exists()


@pytest.mark.parametrize("script", ["train", "autoattack"])
def test_a_checkpoint_belongs_to_its_code_version_data_threads_and_kind_of_device(
    script: str, train_options: Options, cell_options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict] = []

    def look(path: Path, identity: dict) -> None:
        asked.append(identity)
        raise Stopped("this is enough")

    monkeypatch.setattr(checkpoint, "load_if_same", look)
    network = {"network": "small_cnn", "weights": {"0": new_network("small_cnn").state_dict()}, "provenance": {}}
    checkpoint.save(cell_options["model"], network)
    settings = {**ON_IMAGES, "fab_square_examples": 2, "batch_size": 4, "seed": 0}
    options = {"train": train_options, "autoattack": {**cell_options, "settings": settings, "checkpoint": tmp_path / "c"}}
    assert run(script, options[script]).exit_code == 143
    (identity,) = asked
    assert {key: identity[key] for key in device_settings(CPU)} == device_settings(CPU)
    assert identity["code"] == code_digest(script, *["proposed"] if script == "train" else [])
    assert identity["torch"] == str(torch.__version__)
    assert len(identity["data"]) == 64


def test_a_full_disk_is_named_and_leaves_no_half_written_output(train_options: Options, tmp_path: Path) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        f"sys.path.insert(0, {str(SRC)!r}); sys.argv = ['train.py', *{arguments(train_options)!r}]; "
        f"runpy.run_path({str(SRC / 'train.py')!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert re.search("m.checkpoint.*File too large", result.stderr.splitlines()[-1])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [(STRONG, "m.pt: damaged"), ({**STRONG, "pgd": {"iterations": 4}}, "pgd.step_factor is missing")],
    ids=["the model", "a setting"],
)
def test_what_is_wrong_in_an_evaluation_is_named(settings: dict, named: str, cell_options: Options) -> None:
    assert_refused(run("strong", {**cell_options, "settings": settings}), named)
    assert not cell_options["output"].exists()


def command_that(fails: Callable[[], object]) -> Result:
    return CliRunner().invoke(Command("main", callback=fails, lower="evaluation.batch_size"))


def raising(error: Exception) -> Callable[[], object]:
    def fails() -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    "fails",
    [
        raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nOf the allocated memory ...")),
        raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")),
        raising(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")),
        lambda: torch.empty(1 << 55),
        lambda: np.empty(1 << 55),
    ],
    ids=["CUDA", "cuBLAS", "MPS", "torch on the CPU", "NumPy"],
)
def test_too_little_memory_is_a_reason_and_a_line_that_says_what_to_lower(fails: Callable[[], object]) -> None:
    result = command_that(fails)
    assert result.exit_code == 1
    reason, advice = result.output.splitlines()
    assert re.search("memory|ALLOC_FAILED|allocate", reason)
    assert advice == "There is too little memory; lower evaluation.batch_size"


def test_another_runtime_error_is_not_taken_for_too_little_memory() -> None:
    assert "shapes do not match" in str(command_that(raising(RuntimeError("shapes do not match"))).exception)


def test_what_was_asked_to_stop_says_so_in_a_line_and_has_an_exit_status_for_it() -> None:
    result = command_that(raising(Stopped("SIGTERM")))
    assert (result.exit_code, len(result.output.splitlines())) == (143, 1)
    assert result.output.startswith("Stopped: SIGTERM. ")


def test_every_script_that_computes_says_what_to_lower() -> None:
    computing = [file.stem for file in SRC.glob("*.py") if re.search("--device|@cell_options", file.read_text())]
    assert len(computing) >= 8
    assert [script for script in computing if ".batch_size" not in importlib.import_module(script).main.lower] == []
