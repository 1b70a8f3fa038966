"""The source files that a result depends on are those that its script imports, but for command lines and storage."""

import importlib.util
import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from advtrain.defenses import registry
from advtrain.results.code import METHODS, SRC, imported_files, settings_of, source_files
from trainings import RECIPES

Loaded = Callable[[], set[str]]
FOR_CUDA = {
    f"advtrain/fast/{name}.py"
    for name in ("adam", "by_kernels", "small_cnn", "attack_kernels", "training_kernels", "madry_cnn", "madry_kernels")
}
"""Imported where a CUDA device is used."""
SCRIPTS = sorted(file.stem for file in SRC.glob("*.py"))


def imported_from(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nothing_imported() -> Iterator[Loaded]:
    """As if nothing below src/ had been imported; tells what has been since, by file."""

    def ours() -> dict[str, Path]:
        files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
        return {name: Path(file) for name, file in files.items() if file and Path(file).is_relative_to(SRC)}

    before = {name: sys.modules.pop(name) for name in ours()}
    yield lambda: {path.relative_to(SRC).as_posix() for path in ours().values()}
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_depends_on_what_it_imports_but_for_command_lines_and_storage(script: str, nothing_imported: Loaded) -> None:
    imported_from(SRC / f"{script}.py", "script")
    files = nothing_imported()
    assert imported_files(f"{script}.py") - files in (set(), FOR_CUDA)
    assert files <= imported_files(f"{script}.py")
    assert files - set(source_files(script)) == {file for file in files if file.startswith(("cli/", "advtrain/results/"))}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Another src/, to change files in."""
    shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "src"


def code_of(copy: Path) -> ModuleType:
    """The module that is tested here, from a copy and about it, with nothing read yet."""
    return imported_from(copy / "advtrain/results/code.py", "code_of_the_copy")


@pytest.mark.parametrize(
    ("file", "scripts", "counts"),
    [
        ("advtrain/system/device.py", "train sweep_bim autoattack", True),
        ("advtrain/defenses/proposed.py", "train", True),
        ("advtrain/defenses/atda.py", "train", False),
        ("advtrain/results/provenance.py", "train sweep_bim autoattack", False),
        ("cli/command.py", "train", False),
        ("train.py", "train", True),
    ],
)
def test_the_digest_changes_with_the_files_that_count(file: str, scripts: str, counts: bool, copy: Path) -> None:
    def digests() -> list[str]:
        return [code_of(copy).code_digest(script, *["proposed"] * (script == "train")) for script in scripts.split()]

    before = digests()
    (copy / file).write_text((copy / file).read_text() + "\n# changed\n")
    assert [old != new for old, new in zip(before, digests(), strict=True)] == [counts] * len(before)


def test_a_file_counts_whose_name_only_begins_as_that_of_the_command_lines(copy: Path) -> None:
    (copy / "clips.py").write_text("")
    (copy / "train.py").write_text("import clips\n" + (copy / "train.py").read_text())
    assert "clips.py" in code_of(copy).source_files("train")


def test_the_settings_of_a_method_are_those_that_it_or_what_it_extends_is_made_with(copy: Path) -> None:
    extends = "from advtrain.defenses.{0} import {1}\n\n\nclass Mine({1}):\n    several_seeds = False\n"
    own = "\n    def __init__(self, *, epsilon: float, decay: float) -> None: ...\n"
    (copy / METHODS / "first.py").write_text(extends.format("proposed", "Proposed"))
    (copy / METHODS / "second.py").write_text(extends.format("first", "Mine"))
    (copy / METHODS / "third.py").write_text(extends.format("second", "Mine") + own)
    (copy / METHODS / "fourth.py").write_text(extends.format("second", "Mine") + own.replace("*, ", ""))
    for recipe in RECIPES.values():
        made = type(registry.create(recipe["defense"], epsilon=0.3))
        assert settings_of(recipe["defense"]["method"]) == inspect.signature(made).parameters.keys() - {"epsilon"}
    code = code_of(copy)
    assert code.settings_of("first") == code.settings_of("second") == settings_of("proposed")
    assert code.settings_of("third") == code.settings_of("fourth") == {"decay"}
    assert {f"{METHODS}/{method}.py" for method in ("first", "proposed")} <= set(code.source_files("train", "second"))
