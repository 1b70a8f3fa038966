"""Which source files a result depends on: all that its script imports, however deep, read from the import statements.

Two folders are left out: `cli`, which hands settings and data on to what computes, and `results`, which stores what comes of
it. What is imported through them counts. Standard library only, since the Snakefile uses this too.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path, PurePosixPath

SRC = Path(__file__).parents[2]
DECIDE_NOTHING = ("cli/", "advtrain/results/")
METHODS = "advtrain/defenses"


def source_files(script: str, *methods: str) -> list[str]:
    """The files that decide what a script, named without .py, computes, by their paths below src/; the script is the first.

    `methods` are the defenses that it trains, which it finds by name and does not import.
    """
    first = f"{script}.py"
    files = imported_files(first, *(f"{METHODS}/{method}.py" for method in methods))
    return [first, *sorted(file for file in files - {first} if not file.startswith(DECIDE_NOTHING))]


def imported_files(*files: str) -> set[str]:
    """Some files below src/ and all those that they import, however deep, by their paths there."""
    found: set[str] = set()
    left = set(files)
    while left:
        found |= left
        left = {imported for file in left for imported in _imports(file)} - found
    return found


def code_digest(script: str, *methods: str) -> str:
    """SHA-256 of the names and bytes of `source_files`."""
    digest = hashlib.sha256()
    for file in source_files(script, *methods):
        digest.update(file.encode() + b"\0" + (SRC / file).read_bytes() + b"\0")
    return digest.hexdigest()


def own_file(network: str) -> str:
    """The file of a network that is a user's own, `file.py:function`; empty for one of ours."""
    return network.rpartition(":")[0]


def settings_of(method: str) -> set[str]:
    """Names of the settings that a defense takes besides epsilon, read from its file or from that of the class it extends."""
    tree = ast.parse((SRC / METHODS / f"{method}.py").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    for node in (node for defense in classes for node in defense.body):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return {argument.arg for argument in [*node.args.args[1:], *node.args.kwonlyargs]} - {"epsilon"}
    extended = {base.id for defense in classes for base in defense.bases if isinstance(base, ast.Name)} - {"Defense"}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and extended & {alias.name for alias in node.names}:
            return settings_of(str(node.module).rpartition(".")[2])
    return set()


@cache
def _imports(file: str) -> frozenset[str]:
    """The files below src/ that run when one of them imports modules, packages' __init__.py included."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse((SRC / file).read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}  # any name may be a module's
    paths = [PurePosixPath(module.replace(".", "/")) for module in modules]
    packages = {f"{package}/__init__.py" for path in paths for package in (path, *path.parents)}
    return frozenset(found for found in packages | {f"{path}.py" for path in paths} if (SRC / found).is_file())
