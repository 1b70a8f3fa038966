"""What a run costs beside its computing: the start of each script, and Snakemake's own work for all jobs."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import yaml

from advtrain.results.parquet import read_table
from benchmarks.ground import Ground
from benchmarks.measure import interleave

ROUNDS = 3
CORES = 2
REPOSITORY = Path(__file__).parents[1]
WORKFLOW = ("Snakefile", "rules", "src", "config", "envs", "profiles", "report")
START = "start of a script"
SCHEDULING = "scheduling"

STUB = """#!/bin/bash
# In the place of python3: makes the files behind the options that name outputs, and does nothing else.
while [ $# -gt 0 ]; do
    case "$1" in
        {outputs}) : >"$2" ;;
        --folder) for name in {data}; do : >"$2/$name"; done ;;
    esac
    shift
done
"""


def measure(ground: Ground) -> pd.DataFrame:
    """Seconds of `--help` of each script of the quick run, and of its whole DAG with scripts that do nothing.

    Returns:
        Rows of `interleave` with `case` (`START` with the script's name as contender, or `SCHEDULING`), `threads`, `device`,
        `jobs`, how many of them the quick run has, and `quick_seconds`, what these took in a quick run; NaN without one.
    """
    with workflow_of_stubs(ground.config["datasets"]) as folder:
        counts = count_jobs(_snakemake(folder, "--dry-run"))
        starts = interleave({name: partial(_show_help, name) for name in counts}, ROUNDS).assign(case=START, threads=1)
        whole = interleave({"whole DAG": partial(_run_afresh, folder)}, ROUNDS).assign(case=SCHEDULING, threads=CORES)
    table = pd.concat([starts, whole], ignore_index=True).assign(device="cpu")
    table["jobs"] = table["contender"].map(dict(counts)).fillna(counts.total()).astype(int)
    seconds = quick_seconds(REPOSITORY / "results/quick/cost.parquet")
    table["quick_seconds"] = table["contender"].map(seconds | ({"whole DAG": sum(seconds.values())} if seconds else {}))
    return table


def quick_seconds(cost: Path) -> dict[str, float]:
    """Seconds of all jobs of each rule in the quick run, from its table of costs; none without a quick run."""
    return dict(read_table(cost).to_pandas().groupby("rule")["seconds"].sum()) if cost.exists() else {}


def count_jobs(dry_run: str) -> Counter[str]:
    """How many jobs run each script, by its name, which is also its rule's, from what a dry run says."""
    return Counter(re.findall(r"^ *python3 src/(\w+)\.py", dry_run, re.MULTILINE))


def output_options(source: str) -> list[str]:
    """The options of a script that name files it writes, which its help texts tell."""
    return re.findall(r'option\(\s*"(--[\w-]+)"[^\n]*help="Output: ', source)


@contextmanager
def workflow_of_stubs(datasets: dict[str, dict[str, dict[str, str]]]) -> Iterator[Path]:
    """A copy of the workflow whose `python3` writes empty files, and whose data sets are to be empty files too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in WORKFLOW:
            source = REPOSITORY / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
        empty = hashlib.sha256(b"").hexdigest()
        hashes = {dataset: {"sha256": dict.fromkeys(entry["sha256"], empty)} for dataset, entry in datasets.items()}
        (folder / "config/stubs.yaml").write_text(yaml.safe_dump({"datasets": hashes, "device": "cpu"}))
        outputs = {option for file in (folder / "src").glob("*.py") for option in output_options(file.read_text())}
        files = {file for entry in datasets.values() for file in entry["sha256"]}
        stub = folder / "bin/python3"
        stub.parent.mkdir()
        stub.write_text(STUB.format(outputs="|".join(sorted(outputs)), data=" ".join(sorted(files))))
        stub.chmod(0o755)
        yield folder


def _snakemake(folder: Path, *arguments: str) -> str:
    """Output of Snakemake for the quick run of the copied workflow."""
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES)]
    configuration = ["--configfile", "config/quick.yaml", "config/stubs.yaml"]
    return subprocess.run(
        [*command, *configuration, *arguments, "--", "all"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _run_afresh(folder: Path) -> None:
    for made in ("results", "data", ".snakemake"):
        shutil.rmtree(folder / made, ignore_errors=True)
    _snakemake(folder)


def _show_help(name: str) -> None:
    subprocess.run([sys.executable, f"src/{name}.py", "--help"], cwd=REPOSITORY, capture_output=True, check=True)
