"""No source runs what it reads: no pickle, no YAML of objects, no shell; and a value in a rule's command is always quoted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("src", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py"))
RULES = sorted((REPOSITORY / "rules").glob("*.smk"))

RUNS_CODE = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.(getoutput|getstatusoutput)"
    r"|(c?pickle|_pickle|dill|cloudpickle|joblib|marshal|shelve)\.(load|loads|open|Unpickler)|yaml\.(?!safe_)\w*load\w*"
    r"|(np|numpy)\.load|(pd|pandas)\.(read_pickle|eval)|runpy\.\w+|torch\.(hub|jit)\.load\w*|torch\.package\.\w+",
    re.IGNORECASE,
)


def faults(source: str) -> Iterator[str]:
    """Calls and base classes in a source by which data could run as code, by the names of their modules."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    def full(node: ast.expr) -> str:
        first, dot, rest = ast.unparse(node).partition(".")
        return imported.get(first, first) + dot + rest

    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (f"class {node.name}({full(base)})" for base in node.bases if RUNS_CODE.fullmatch(full(base)))
        if isinstance(node, ast.Call):
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            unsafe = full(node.func) == "torch.load" and options.get("weights_only") != "True"
            arrays_only = full(node.func) in ("np.load", "numpy.load") and options.get("allow_pickle") == "False"
            if unsafe or (RUNS_CODE.fullmatch(full(node.func)) and not arrays_only) or options.get("shell", "False") != "False":
                yield ast.unparse(node)
            if options.get("allow_pickle", "False") != "False":
                yield ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_source_runs_what_it_reads(path: Path) -> None:
    expected = ["class ArrayUnpickler(pickle.Unpickler)"] if path.name == "sources.py" else []
    assert list(faults(path.read_text())) == expected, "the tests of ArrayUnpickler show that it admits arrays only"


def test_each_way_to_run_data_would_be_found_and_what_only_looks_like_it_is_left_alone() -> None:
    for source in (
        "import torch\ntorch.load(path)",
        "from torch import load\nload(path)",
        "from pickle import loads as read\nread(text)",
        "import pickle\nclass Reader(pickle.Unpickler): ...",
        "import yaml\nyaml.load(text, Loader=yaml.FullLoader)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path)",
        "import pandas as pd\npd.read_pickle(path)",
        "eval(text)",
        "from subprocess import run\nrun(command, shell=True)",
    ):
        assert list(faults(source)), source
    harmless = "import torch, yaml, re\nmodel.eval()\nyaml.safe_load(t)\nre.compile(t)\ntorch.load(p, weights_only=True)"
    harmless += "\nnumpy.load(p, allow_pickle=False)"
    assert not list(faults(harmless))


MADE_IN_PYTHON = {"{params.more}", "{params.files}", "{params.settings}"}
"""Whole options, whose values are quoted where they are made."""


def unquoted(rules: str) -> list[str]:
    """Values in the shell blocks of some rules that the shell would take apart, or take for commands."""
    blocks = re.findall(r'^    shell:\n        """\n(.*?)^        """$', rules, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(re.findall(r"^\s*shell:", rules, re.MULTILINE)), "a shell block of another form"
    values = [value for block in blocks for value in re.findall(r"\{[^{}]*\}", block) if value not in MADE_IN_PYTHON]
    return [value for value in values if not value.endswith(":q}")]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_have_shell_commands_only_whose_every_value_is_quoted(path: Path) -> None:
    rules = path.read_text()
    assert not re.search(r"^\s+(run|script|notebook|wrapper|cwl|template_engine):", rules, re.MULTILINE)
    assert unquoted(rules) == []
    assert "{log:q}" not in rules or unquoted(rules.replace("{log:q}", "{log}")), "another would be found"
    for made in re.findall(r"^\s+(?:more|options)=(.*)", rules, re.MULTILINE):
        assert made == '"",' or re.match(r"lambda [\w, ]+: options\(", made), made


@pytest.mark.parametrize("name", ["validate.smk", "common.smk"])
def test_what_is_python_in_the_rules_runs_nothing_that_it_reads(name: str) -> None:
    """The files that are Python up to the first keyword of Snakemake's own; the others have rules only."""
    python, *_ = re.split("\n(?:wildcard_constraints|onstart):", (REPOSITORY / "rules" / name).read_text())
    assert list(faults(python)) == []
