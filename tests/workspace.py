"""The repository's own Snakefile, rules and scripts in a folder of the test's own, on tiny synthetic data."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from advtrain.data.idx import IDX_FILES, sha256
from synthetic import write_synthetic_dataset

REPOSITORY = Path(__file__).parents[1]
CONFIG = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
WORKFLOW = ("Snakefile", "rules", "src", "config", "envs", "profiles", "report")
DATASETS = ("mnist", "fmnist")
DEFENSES = ("proposed", "bim10_adv")
"""Those that the tiny configuration runs."""
RECIPE = {"batch_size": 16, "epochs": 6}
"""In which one of them departs from what all share."""

TITLES = {
    "datasets": {"mnist": {"title": "<script>alert(1)</script> | $(touch evil) `touch evil`"}},
    "defenses": {
        "proposed": {"title": r"\input{/etc/passwd} $x_1$ \frac & {wildcards.dataset} %"},
        "bim10_adv": {"title": "</td><img src=x onerror=alert(1)>'; touch evil; echo \"|a|_"},
    },
}
"""Titles that would be commands, markup or code if anything took them for more than text."""
OTHER = {"name": "other", "title": "All else", "training": {"labels": "predicted", "seeds": [7], "network": "madry_cnn"}}
"""A choice to try."""

Job = tuple[str, str]
"""A rule, and its wildcards such as "mnist/proposed"; "" where it has none."""


def merged(base: dict, over: dict) -> dict:
    """`base` with the keys of `over` in their place, nested as there: what Snakemake makes of two --configfile."""
    return {
        key: merged(base[key], over[key])
        if isinstance(base.get(key), dict) and isinstance(over.get(key), dict)
        else over.get(key, base.get(key))
        for key in base | over
    }


def load_rules(config: Any = CONFIG, *files: str) -> SimpleNamespace:
    """What validate.smk, and others of rules/ that are plain Python to their end, define for a configuration."""
    names = {
        "workflow": SimpleNamespace(snakefile=str(REPOSITORY / "rules" / "validate.smk")),
        "config": config,
        "expand": lambda path, *_, **__: [path],
    }
    for name in ("validate.smk", *files):
        text = (REPOSITORY / "rules" / name).read_text().partition("\n\nwildcard_constraints:")[0]
        exec(compile(text, name, "exec"), names)
    return SimpleNamespace(**names)


def heed_signals() -> None:
    """In a background job, or under nohup, some are ignored, and so they are in what is started there."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Workspace:
    """A copy of the workflow, its tiny configuration, and the command snakemake in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results" / "tiny"
        self.started: list[subprocess.Popen] = []

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", *arguments]

    def environment(self) -> dict[str, str]:
        """Without the variable that lets every job compile torch's Python files anew."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**{name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}, "PATH": path}

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return self.run(self.command(*arguments), **environment)

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment() | environment, capture_output=True, text=True, check=False
        )

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run Snakemake, which has to end well."""
        result = self.snakemake("--cores", "2", *arguments, **environment)
        assert result.returncode == 0, result.stderr[-5000:]
        return result

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Snakemake in a new session, with what it says in the files stdout and stderr."""
        with (self.folder / "stdout").open("wb") as stdout, (self.folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment() | environment,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=heed_signals,
            )
        self.started.append(process)
        return process

    def planned(self, *arguments: str) -> dict[Job, str]:
        """What a dry run says of each job that Snakemake would run, without `all`."""
        said = self.make("--dry-run", *arguments).stdout
        jobs = {}
        for block in re.split(r"\n\[[A-Z][a-z]{2} [^\]]*\]\n", said)[1:]:
            (rule,) = re.findall(r"^(?:local)?rule (\w+):", block, re.MULTILINE)
            wildcards = re.search(r"^ +wildcards: (.*)", block, re.MULTILINE)
            values = re.findall(r"\w+=([^,\s]+)", wildcards.group(1)) if wildcards else []
            jobs[rule, "/".join(values)] = block
        return {job: block for job, block in jobs.items() if job[0] != "all"}

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def configure(self, **changes: Any) -> None:
        """Change keys of the tiny configuration, nested as there."""
        file = self.folder / "config" / "tiny.yaml"
        file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), changes)))


def make_workspace(folder: Path) -> Workspace:
    folder.mkdir(parents=True)
    for name in WORKFLOW:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for seed, dataset in enumerate(DATASETS):
        write_synthetic_dataset(folder / "local" / dataset, seed)
    config = {
        "pathvars": {"results": "results/tiny"},
        "only": {"defenses": list(DEFENSES)},
        "local_folder": "local",
        "device": "cpu",
        "defenses": {"proposed": {"training": {"reset_epochs": 3, **RECIPE}}},
        "datasets": {
            dataset: {"sha256": {name: sha256(folder / "local" / dataset / name) for name in IDX_FILES}} for dataset in DATASETS
        },
        "training": {
            "seeds": [0, 1],
            "examples": 96,
            "epochs": 3,
            "batch_size": 32,
            "monitor_examples": 16,
            "monitor_iterations": 2,
            "checkpoint_epochs": 1,
        },
        "evaluation": {
            "examples": 48,
            "batch_size": 48,
            "sweep_iterations": [1, 2, 10, 30],
            "fixed_step": {"iterations": [30]},
        },
        "pgd": {"examples": 32, "iterations": 4, "restarts": 2},
        "autoattack": {"apgd_examples": 4, "fab_square_examples": 2, "batch_size": 4},
        "audit": {"square_queries": 20, "noise_draws": 2},
        "timing": {"blocks": 2, "steps_per_block": 1},
        "ablation": {"step_divisors": [10, 1], "reset_epochs": [3]},
        "variants": {"choices": [OTHER]},
        "successors": [
            {"title": "<i>one</i> $x$", "defenses": ["vanilla", "proposed"]},
            {"title": "two", "defenses": ["bim10_adv"]},
        ],
        "ladder": [{"defense": "proposed", "change": "Proposed"}, {"defense": "bim10_adv", "change": "<b>ten steps</b> $x_1$"}],
        "budgets": {"passes": [18], "defenses": {"proposed": 3, "bim10_adv": 12}},
    }
    (folder / "config" / "tiny.yaml").write_text(yaml.safe_dump(config))
    return Workspace(folder)
