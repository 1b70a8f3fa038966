"""The code's floors: what each may import, and that no name means two things."""

import ast
import graphlib
import pkgutil
import sys
import sysconfig

import pytest

from advtrain.results.code import SRC

ROOMS = ["system", "data", "results", "networks", "fast", "attacks", "evaluation", "defenses", "training", "audit", "report"]
FLOORS = [*(f"advtrain.{room}" for room in ROOMS), "cli", "script"]
MODULES = {".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): file for file in SRC.rglob("*.py")}
SCRIPTS = {file.stem for file in SRC.glob("*.py")}


def imported(module: str) -> set[str]:
    """The modules below src/ that one of them names in its import statements; a package only where nothing in it is named."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inside or {str(node.module)}
    return found & MODULES.keys()


IMPORTS = {module: imported(module) for module in MODULES}


def floor(module: str) -> int:
    room = "script" if module in SCRIPTS else ".".join(module.split(".")[: 2 if module.startswith("advtrain") else 1])
    return FLOORS.index(room)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"advtrain"}))
def test_a_module_imports_no_script_and_nothing_from_above(module: str) -> None:
    assert [other for other in IMPORTS[module] if floor(other) > floor(module) or other in SCRIPTS] == []


def test_no_module_imports_in_a_circle() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_no_script_has_the_name_of_a_module() -> None:
    """A script's folder comes first in the search for modules, so that it would be imported in the other's place."""
    ours = {file.stem for module, file in MODULES.items() if module not in SCRIPTS}
    paths = sysconfig.get_paths()
    installed = {module.name for module in pkgutil.iter_modules([paths["purelib"], paths["platlib"]])}
    assert SCRIPTS & (ours | installed | set(sys.stdlib_module_names)) == set()
