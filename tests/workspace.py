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
WORKFLOW = ("Snakefile", "rules", "src", "config", "envs", "profiles", "report")
DATASETS = ("mnist", "fmnist")
VARIANTS = [
    {"name": "predicted_labels", "title": "Predicted labels", "settings": {"labels": "predicted"}},
    {"name": "batch_16", "title": "Batch 16", "training": {"batch_size": 16}},
    {"name": "seed_7", "title": "Another seed", "training": {"seeds": [7]}},
    {"name": "as_it_is", "title": "Three epochs, as before", "training": {"epochs": 3}},
]
DEFENSES = ("vanilla", "fgsm_adv", "atda", "proposed", "bim10_adv", "bim30_adv")


def merged(base: dict, over: dict) -> dict:
    """`base` with the keys of `over`, nested as there, in their place: what Snakemake makes of two --configfile."""
    return {
        key: merged(base[key], over[key])
        if isinstance(base.get(key), dict) and isinstance(over.get(key), dict)
        else over.get(key, base.get(key))
        for key in base | over
    }


def load_checks() -> SimpleNamespace:
    """What rules/validate.smk defines; it is plain Python, and config.yaml has to pass it."""
    file = REPOSITORY / "rules" / "validate.smk"
    names = {
        "workflow": SimpleNamespace(basedir=str(REPOSITORY)),
        "config": yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text()),
    }
    exec(compile(file.read_text(), str(file), "exec"), names)
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

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", *arguments]

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path}

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return self.run(self.command(*arguments), **environment)

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Snakemake in a session of its own, with what it says in the files stdout and stderr."""
        with (self.folder / "stdout").open("wb") as stdout, (self.folder / "stderr").open("wb") as stderr:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment() | environment,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=heed_signals,
            )

    def dry_run(self, *arguments: str) -> set[tuple[str, str]]:
        """Rule and wildcards ("mnist/proposed", or "") of each job that snakemake would run, without `all`."""
        result = self.snakemake("--dry-run", "--cores", "2", *arguments)
        assert result.returncode == 0, result.stderr + result.stdout
        jobs = set()
        for block in re.split(r"\n\[[A-Z][a-z]{2} [^\]]*\]\n", result.stdout + result.stderr)[1:]:
            (rule,) = re.findall(r"^(?:local)?rule (\w+):", block, re.MULTILINE)
            wildcards = re.search(r"^ +wildcards: (.*)", block, re.MULTILINE)
            values = re.findall(r"\w+=([^,\s]+)", wildcards.group(1)) if wildcards else []
            jobs.add((rule, "/".join(values)))
        return {job for job in jobs if job[0] != "all"}

    def plan(self, *arguments: str) -> str:
        """What a dry run says, of the configuration as it is in the repository."""
        result = self.run([*self.command()[:3], "--dry-run", *arguments])
        assert result.returncode == 0, result.stderr
        return result.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def configure(self, **changes: Any) -> None:
        """Change keys of the tiny configuration, nested as there."""
        file = self.folder / "config" / "tiny.yaml"
        file.write_text(yaml.safe_dump(merged(yaml.safe_load(file.read_text()), changes)))

    def keep_only(self, **names: set[str]) -> None:
        """Take all others out of a section of the configuration: `keep_only(defenses={"proposed"})`."""
        for file in ("config.yaml", "tiny.yaml"):
            path = self.folder / "config" / file
            config = yaml.safe_load(path.read_text())
            for section, kept in names.items():
                config[section] = {name: entry for name, entry in config[section].items() if name in kept}
            path.write_text(yaml.safe_dump(config, sort_keys=False))


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
        "local_folder": "local",
        "device": "cpu",
        "defenses": {"proposed": {"training": {"reset_epochs": 3}}},
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
        "evaluation": {"examples": 48, "batch_size": 48, "sweep_iterations": [1, 2, 10, 30], "fixed_step": {"iterations": [3]}},
        "strong": {"examples": 32, "pgd": {"iterations": 4, "restarts": 2}},
        "autoattack": {"apgd_examples": 4, "fab_square_examples": 2, "batch_size": 4},
        "audit": {"square_queries": 20, "noise_draws": 2},
        "timing": {"blocks": 2, "steps_per_block": 1},
        "ablation": {"step_divisors": [10, 1], "reset_epochs": [1, 3]},
        "variants": {"choices": VARIANTS},
    }
    (folder / "config" / "tiny.yaml").write_text(yaml.safe_dump(config))
    return Workspace(folder)
