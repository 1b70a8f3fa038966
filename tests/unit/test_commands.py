"""Bad input to the scripts: one line that names it, a non-zero exit, and no half-written output."""

import dataclasses
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

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


@pytest.fixture
def options(tmp_path: Path) -> dict:
    """Of train.py."""
    write_synthetic_dataset(tmp_path / "data", seed=0)
    return {
        "dataset": "mnist",
        "defense": "proposed",
        "plan": PLAN,
        "checkpoint-epochs": 1,
        "device": "cpu",
        "cuda-graph": 1,  # which is for CUDA alone
        "images": tmp_path / "data" / "train-images-idx3-ubyte",
        "labels": tmp_path / "data" / "train-labels-idx1-ubyte",
        **{kind: tmp_path / "out" / f"m.{kind}" for kind in ("checkpoint", "model", "history")},
    }


def run(script: str, options: dict) -> Result:
    texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in options.items()}
    arguments = [text for name, value in texts.items() for text in (f"--{name}", value)]
    return CliRunner().invoke(importlib.import_module(script).main, arguments)


def assert_refused(result: Result, named: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), "a traceback"
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert named in line


def test_training_ends_with_model_and_history_and_without_its_checkpoint(options: dict, tmp_path: Path) -> None:
    result = run("train", options)
    assert result.exit_code == 0, result.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["m.history", "m.model"]
    assert len(result.stderr.splitlines()) == 4, "a line for each epoch of each seed"
    assert "100% of mnist/proposed: seed 1, epoch 2/2" in result.stdout
    made = read_provenance(options["history"])
    assert made.record["settings"] == {"dataset": "mnist", **PLAN}
    assert numerics(CPU).items() <= made.record.items()
    assert made.digest == Provenance.from_content(checkpoint.load(options["model"])["provenance"]).digest


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"plan": {**PLAN, "defense": {"method": "magic"}}}, "method 'magic' is not a defense"),
        ({"plan": {**PLAN, "defense": {"method": "vanilla", "labels": "predicted"}}}, "defense vanilla takes no labels"),
        ({"plan": {**PLAN, "epsilon": -0.3}}, "epsilon is -0.3"),
        ({"plan": {**PLAN, "examples": 1000}}, "1000 examples were asked for, but the data set has 192"),
        ({"plan": {**PLAN, "learning_rate": 1e30}}, "in epoch 1, step"),
        ({"device": "cuda:9"}, "device 'cuda:9' is not on this machine"),
        ({"images": "missing-ubyte"}, "missing-ubyte: no such file"),
    ],
)
def test_a_wrong_option_is_named(wrong: dict, named: str, options: dict) -> None:
    assert_refused(run("train", options | wrong), named)
    assert not options["model"].exists()
    assert not options["history"].exists()


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, None),
        ({"epochs": 3}, None),
        ({"batch_size": 16}, "batch_size was 32, is 16"),
        ({"schedule": [[1, 0.5]]}, "schedule was (), is ((1.0, 0.5),)"),
        ({"examples": 65}, "data was"),
        ({"defense": {"method": "vanilla"}}, "code was"),
        ({"defense": {**PROPOSED, "step_divisor": 5}}, "defense was"),
    ],
    ids=str,
)
def test_an_interrupted_training_resumes_at_its_checkpoint_unless_that_is_of_something_else(
    changes: dict, differs: str | None, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state = checkpoint.save_state

    def save_and_end(*arguments: Any) -> None:
        save_state(*arguments)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save_and_end)
        assert isinstance(run("train", options).exception, ZeroDivisionError)
    identity = checkpoint.load(options["checkpoint"])["identity"]
    known = {"code": code_digest("train", "proposed"), "torch": str(torch.__version__), **device_settings(CPU)}
    assert {key: identity[key] for key in known} == known
    result = run("train", {**options, "plan": PLAN | changes})
    if differs:
        assert_refused(result, "checkpoint of another configuration")
        assert differs in result.stderr
        assert options["checkpoint"].exists()
    else:
        first, *epochs = result.stderr.splitlines()
        assert "0 seeds done, seed 0 after 1 epochs and 0 steps" in first
        assert len(epochs) == 2 * changes.get("epochs", 2) - 1


def raising(error: Exception) -> Callable[[], object]:
    def fails() -> None:
        raise error

    return fails


def result_of(fails: Callable[[], object]) -> Result:
    return CliRunner().invoke(Command("main", callback=fails, lower="evaluation.batch_size"))


def test_too_little_memory_is_a_reason_and_a_line_that_says_what_to_lower() -> None:
    for fails, said in (
        (raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nOf the ...")), "CUDA out of memory"),
        (raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")), "ALLOC_FAILED"),
        (raising(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")), "MPS backend"),
        (lambda: torch.empty(1 << 55), "can't allocate memory"),
        (lambda: np.empty(1 << 55), "Unable to allocate"),
    ):
        result = result_of(fails)
        reason, advice = result.output.splitlines()
        assert result.exit_code == 1
        assert said in reason
        assert advice == "There is too little memory; lower evaluation.batch_size"


def test_a_stop_is_a_line_and_an_exit_status_for_it_and_a_fault_in_the_code_a_traceback() -> None:
    result = result_of(raising(Stopped("SIGTERM")))
    assert (result.exit_code, len(result.output.splitlines())) == (143, 1)
    assert result.output.startswith("Stopped: SIGTERM. ")
    assert isinstance(result_of(raising(RuntimeError("shapes do not match"))).exception, RuntimeError)


def test_every_script_that_computes_says_what_to_lower() -> None:
    computing = [file.stem for file in SRC.glob("*.py") if re.search("--device|@cell_options", file.read_text())]
    assert len(computing) >= 8
    assert [script for script in computing if ".batch_size" not in importlib.import_module(script).main.lower] == []
