"""What a job costs apart from its computing: the start of its script, and Snakemake's share."""

import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.measure import Run, interleave
from benchmarks.setup import CONFIG, REPOSITORY, Setup

IMPORT_TORCH, SNAKEMAKE = "import torch", "Snakemake"
WORKFLOW = ("Snakefile", "rules", "src", "config", "envs", "profiles", "report")
STUB = """#!/bin/bash
# In the place of python3: creates the files that a script would write, and does nothing else.
while [ $# -gt 0 ]; do
    case "$1" in {outputs}) : >"$2" ;; esac
    shift
done
"""


def measure(setup: Setup, rounds: int = 5) -> pd.DataFrame:
    """Seconds that each script takes to print its help, that `import torch` takes, and Snakemake for one of its `jobs`."""
    jobs: list[int] = []
    scripts = sorted((REPOSITORY / "src").glob("*.py"))
    contenders: dict[str, Run] = {path.stem: partial(_python, str(path), "--help") for path in scripts}
    contenders |= {IMPORT_TORCH: partial(_python, "-c", "import torch"), SNAKEMAKE: lambda: jobs.append(run_stubs())}
    table = interleave(contenders, rounds).assign(jobs=jobs[-1])
    table["seconds"] /= table["jobs"].where(table["contender"] == SNAKEMAKE, 1)
    return table


def run_stubs() -> int:
    """Run the workflow of `make quick` with scripts that only create their outputs; returns the number of its jobs."""
    sources = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
    outputs = set(re.findall(r'"(--[\w-]+)"[^\n]*help="Output', sources))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in WORKFLOW:
            (folder / part).symlink_to(REPOSITORY / part)
        for file in [Path(dataset, name) for dataset, entry in CONFIG["datasets"].items() for name in entry["sha256"]]:
            (folder / "data" / file.parent).mkdir(parents=True, exist_ok=True)
            (folder / "data" / file).touch()
        stub = folder / "bin/python3"
        stub.parent.mkdir()
        stub.write_text(STUB.format(outputs="|".join(outputs)))
        stub.chmod(0o755)
        options = ["--cores", "2", "--configfile", "config/quick.yaml", "--config", "device=cpu"]
        progress = _python("-m", "snakemake", *options, "--", "all", folder=folder)
    return int(re.findall(r"of (\d+) steps", progress)[-1])


def _python(*arguments: str, folder: Path = REPOSITORY) -> str:
    """Run Python in `folder`, whose bin/ comes first on the path; returns its stderr."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stderr
