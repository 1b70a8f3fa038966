"""pyproject.toml, the lock and the conda environment say the same."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
LOCK = (REPOSITORY / "envs" / "requirements.lock").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((REPOSITORY / "envs" / "pipeline.yaml").read_text())


def locked(python: str) -> dict[str, str]:
    """Version of each package that the lock pins on Linux for a Python version."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    pins = {}
    for line in re.findall(r"^([a-z0-9][^\\\n]*?) \\$", LOCK, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            pins[canonicalize_name(requirement.name)] = pin.version
    return pins


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_declared_dependency_is_locked_at_a_version_that_it_admits(python: str) -> None:
    pins = locked(python)
    declared = PROJECT["dependencies"] + [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    for line in declared:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def test_every_pin_has_a_hash_and_the_lock_names_no_address() -> None:
    pins = re.findall(r"^\S+==", LOCK, re.MULTILINE)
    hashed = re.findall(r"^\S+==\S+.*\\\n\s+--hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)
    assert len(pins) == len(hashed) > 100
    assert "://" not in LOCK


def test_the_conda_environment_has_the_lock_s_versions_of_whatever_the_scripts_import() -> None:
    (python,) = (line.removeprefix("python=") for line in CONDA["dependencies"] if str(line).startswith("python="))
    (pip,) = (line["pip"] for line in CONDA["dependencies"] if isinstance(line, dict))
    installed = dict(line.split("==") for line in pip)
    assert installed.items() <= locked(python).items()
    sources = [file.read_text() for file in (REPOSITORY / "src").rglob("*.py")]
    imported = {name for source in sources for name in re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE)}
    distributions = packages_distributions()
    needed = {
        distributions[name][0] for name in imported - set(sys.stdlib_module_names) - {"advtrain", "cli", "triton"}
    }  # torch brings it, on Linux
    # pandas loads the last two by itself, for LaTeX and Markdown.
    assert {*map(canonicalize_name, needed), "jinja2", "tabulate"} <= installed.keys()
