"""The README's commands, table and picture of the DAG are true."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from workspace import Workspace

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def test_the_commands_of_the_task_are_there() -> None:
    assert "make quick" in COMMANDS
    assert "make test" in COMMANDS
    assert "snakemake --cores 4 --resources gpu=1 -- all" in COMMANDS
    assert "snakemake --cores 4 -- results/fmnist/proposed.parquet" in COMMANDS


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("snakemake")])
def test_snakemake_takes_the_command_as_a_dry_run(command: str, workspace: Workspace) -> None:
    _, *arguments = shlex.split(command)
    if "--report" in arguments:
        arguments = arguments[: arguments.index("--report")] + arguments[arguments.index("--") :]
    assert "This was a dry-run" in workspace.plan(*arguments)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make")])
def test_make_takes_the_command_as_a_dry_run(command: str, tmp_path: Path) -> None:
    """On a copy without .venv: the environment comes first, then the command itself."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    shutil.copytree(REPOSITORY / "envs", tmp_path / "envs")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(
        [*shlex.split(command), "--dry-run"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    install, _, rest = result.stdout.partition("touch .venv/installed")
    assert "-m venv .venv" in install
    assert "--require-hashes --requirement envs/requirements.lock" in install
    assert rest.strip()


def test_every_command_is_one_of_make_or_snakemake() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"make", "snakemake"}


def test_links_and_pictures_lead_to_files() -> None:
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), (page.name, target)


def edges(mermaid: str) -> set[tuple[str, str]]:
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", mermaid, re.MULTILINE))
    found = re.findall(r"^\s*(\w+) --> (\w+)", mermaid, re.MULTILINE)
    return {(names.get(start, start), names.get(end, end)) for start, end in found}


def test_the_picture_of_the_dag_is_the_dag(workspace: Workspace) -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", README, re.DOTALL)
    result = workspace.snakemake("--rulegraph", "mermaid-js", "--", "all")
    assert result.returncode == 0, result.stderr
    assert edges(picture) == edges(result.stdout) != set()
