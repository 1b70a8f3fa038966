"""What a job costs apart from its computing: the start of its script, and Snakemake's share."""

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
WORKFLOW = ("Snakefile", "rules", "config", "envs", "profiles", "report")
STUB = """import sys
for option, value in zip(sys.argv, sys.argv[1:]):
    if option in {outputs}:
        open(value, "w").close()
"""
"""In the place of a script: creates the files that it would write, and does nothing else."""


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in WORKFLOW:
            (folder / part).symlink_to(REPOSITORY / part)
        (folder / "src").mkdir()
        for source in (REPOSITORY / "src").iterdir():
            if source.suffix == ".py":
                (folder / "src" / source.name).write_text(STUB.format(outputs=outputs_of(source)))
            else:
                (folder / "src" / source.name).symlink_to(source)
        for file in [Path(dataset, name) for dataset, entry in CONFIG["datasets"].items() for name in entry["sha256"]]:
            (folder / "data" / file.parent).mkdir(parents=True, exist_ok=True)
            (folder / "data" / file).touch()
        options = ["--cores", "2", "--configfile", "config/quick.yaml", "--config", "device=cpu", "--show-failed-logs"]
        progress = _python("-m", "snakemake", *options, "--", "all", folder=folder)
    return int(re.findall(r"of (\d+) steps", progress)[-1])


def outputs_of(script: Path) -> set[str]:
    """The options of a script that name files which it writes; the same option may name an input of another script."""
    sources = [script, *sorted((script.parent / "cli").glob("*.py"))]
    return {option for source in sources for option in re.findall(r'"(--[\w-]+)"[^\n]*help="Output', source.read_text())}


def _python(*arguments: str, folder: Path = REPOSITORY) -> str:
    """Run Python in `folder`; returns its stderr, which is what a failure says."""
    finished = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {finished.returncode}:\n{finished.stderr}")
    return finished.stderr
