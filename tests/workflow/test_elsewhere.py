"""The workflow run from another folder, and imported by another workflow."""

import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from workspace import Workspace

MODEL = "results/tiny/models/mnist/proposed.pt"
NAME = 'Übung \'n "$x" {y}'
"""Of a folder, as a shell, Snakemake and Python would rather not have it."""
IMPORTS = """
module cheap:
    snakefile: "../workflow/Snakefile"
    config: {config}

use rule * from cheap as cheap_*

rule mine:
    input: "{model}"
    output: "{{dataset}}.sum"
    shell: "cksum <{{input:q}} >{{output:q}}"
"""
"""A workflow that makes something of a model, with data sets of its own."""


@pytest.fixture
def elsewhere(workspace: Workspace) -> Workspace:
    """A folder beside the workflow's."""
    folder = workspace.folder.parent / NAME
    folder.mkdir()
    return Workspace(folder)


def snakemake(at: Workspace, *arguments: str | Path) -> CompletedProcess:
    """The command in a folder, without a configuration file."""
    result = at.run([sys.executable, "-m", "snakemake", "--cores", "2", *map(str, arguments)])
    assert result.returncode == 0, result.stderr[-3000:]
    return result


def test_results_land_where_snakemake_runs_wherever_the_workflow_is(workspace: Workspace, elsewhere: Workspace) -> None:
    configured = ("--configfile", workspace.folder / "config" / "tiny.yaml", "--config", "local_folder=../workflow/local")
    before = set(workspace.folder.iterdir())
    snakemake(elsewhere, "--snakefile", "../workflow/Snakefile", *configured, "--", MODEL)
    assert (elsewhere.folder / MODEL).stat().st_size > 0
    assert set(workspace.folder.iterdir()) == before
    again = snakemake(workspace, "--directory", elsewhere.folder, *configured, "--", MODEL)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_another_workflow_imports_this_one_with_the_settings_that_it_changes(
    workspace: Workspace, elsewhere: Workspace
) -> None:
    own = yaml.safe_load((workspace.folder / "config" / "tiny.yaml").read_text()) | {"local_folder": "../workflow/local"}
    (elsewhere.folder / "Snakefile").write_text(IMPORTS.format(config=own, model=MODEL))
    snakemake(elsewhere, "--", "emnist.sum")
    assert (elsewhere.folder / "emnist.sum").stat().st_size > 0
    planned = elsewhere.run([sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--", "cheap_all"])
    assert planned.returncode == 0, planned.stderr


def test_jobs_run_in_the_python_that_runs_snakemake_whatever_the_shell_has_set(workspace: Workspace, tmp_path: Path) -> None:
    """As where conda's base is active, or a cluster's modules have set some of it."""
    for package in ("advtrain", "cli"):
        (tmp_path / "wrong" / package).mkdir(parents=True)
        (tmp_path / "wrong" / package / "__init__.py").write_text("raise ImportError('the wrong one')")
    python = tmp_path / "wrong" / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    wrong = str(python.parent)
    shell = {"PYTHONPATH": wrong, "PYTHONSAFEPATH": "1", "LC_ALL": "C", "PATH": os.pathsep.join([wrong, os.environ["PATH"]])}
    workspace.make("--", "data/mnist/t10k-labels-idx1-ubyte", **shell)
