"""PGD and the audit that are killed resume at their checkpoint, attack nothing twice, and end with the same bits."""

import importlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner

from advtrain.audit.measure import MEASURES
from advtrain.evaluation.table import EVALUATION_SCHEMA
from advtrain.networks.plain import initialise, new_network
from advtrain.results import checkpoint
from advtrain.results.parquet import read_table, write_rows
from advtrain.results.provenance import made_by
from killing import KilledError, checkpoints
from synthetic import write_synthetic_dataset

ON_IMAGES = {"epsilon": 0.2, "examples": 8, "subset_seed": 0}
PGD = {"iterations": 2, "step_factor": 1.0, "restarts": 2, "seed": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "sweep_bim": {**ON_IMAGES, "iterations": [1], "fixed_step": {"divisor": 10, "iterations": [1]}},
    "trace_bim": {**ON_IMAGES, "iterations": 2},
    "strong": {**ON_IMAGES, "pgd": PGD},
    "audit_model": {**ON_IMAGES, "pgd": PGD, "trace_iterations": 2, "square_queries": 4, "noise_draws": 1},
}
SEEDS = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Test images, and a model of two seeds."""
    write_synthetic_dataset(tmp_path, seed=0)
    weights = {}
    for seed in range(SEEDS):
        network = new_network("small_cnn")
        initialise(network, torch.Generator().manual_seed(seed))
        weights[str(seed)] = network.state_dict()
    checkpoint.save(tmp_path / "m.pt", {"weights": weights, "network": "small_cnn", "provenance": made_by({}).content()})
    return tmp_path


def run(script: str, folder: Path, *more: str, killed_after: int = 0, **changes: Any) -> tuple[int, str]:
    """Run a script, and kill it after some checkpoints; how many there were, and what it said."""
    options = [
        "--dataset",
        "mnist",
        "--defense",
        "vanilla",
        "--model",
        f"{folder}/m.pt",
        "--batch-size",
        "8",
        "--device",
        "cpu",
    ]
    options += ["--images", f"{folder}/t10k-images-idx3-ubyte", "--labels", f"{folder}/t10k-labels-idx1-ubyte"]
    options += ["--settings", json.dumps(SETTINGS[script] | changes), "--output", f"{folder}/{script}.parquet", *more]
    with checkpoints(killed_after) as saves:
        result = CliRunner().invoke(importlib.import_module(script).main, options)
    assert isinstance(result.exception, SystemExit | KilledError | None), result.exception
    return len(saves), result.stderr


def assert_resumes(script: str, folder: Path, *more: str, saves: int, outputs: tuple[str, ...]) -> None:
    """Killed within the first seed and between the two, it ends with the files of a run that nothing disturbed."""
    kept, more = folder / "checkpoint", (*more, "--checkpoint", f"{folder}/checkpoint")
    assert run(script, folder, *more) == (saves, "")
    undisturbed = [(folder / output).read_bytes() for output in outputs]
    for output in outputs:
        (folder / output).unlink()
    run(script, folder, *more, killed_after=1)
    run(script, folder, *more, killed_after=saves // SEEDS - 1)
    assert not any((folder / output).exists() for output in outputs)
    assert "epsilon was 0.2, is 0.3" in run(script, folder, *more, epsilon=0.3)[1]
    assert run(script, folder, *more) == (saves - saves // SEEDS, ""), "the second seed alone"
    assert [(folder / output).read_bytes() for output in outputs] == undisturbed
    assert not kept.exists()


def test_pgd_resumes_after_each_loss_of_each_seed(folder: Path) -> None:
    assert_resumes("strong", folder, saves=SEEDS * 2, outputs=("strong.parquet",))


def test_the_audit_resumes_after_each_check_of_each_seed_and_not_with_other_evaluations(folder: Path) -> None:
    for script, more in (("sweep_bim", ()), ("trace_bim", ()), ("strong", ("--checkpoint", f"{folder}/c"))):
        run(script, folder, *more)
    rows = pa.concat_tables(read_table(folder / f"{script}.parquet") for script in list(SETTINGS)[:3]).to_pylist()
    rows += [row | {"attack": "autoattack"} for row in rows if row["loss"] == "worst"]
    write_rows(rows, EVALUATION_SCHEMA, folder / "all.parquet", made_by({}))
    more = ("--evaluations", f"{folder}/all.parquet", "--outcomes", f"{folder}/outcomes.parquet")
    outputs = ("audit_model.parquet", "outcomes.parquet")
    assert_resumes("audit_model", folder, *more, saves=SEEDS * len(MEASURES), outputs=outputs)

    run("audit_model", folder, *more, "--checkpoint", f"{folder}/c", killed_after=1)
    write_rows(rows[::-1], EVALUATION_SCHEMA, folder / "all.parquet", made_by({}))
    assert "evaluations was" in run("audit_model", folder, *more, "--checkpoint", f"{folder}/c")[1]
