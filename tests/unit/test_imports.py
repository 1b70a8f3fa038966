"""A script loads what it works with and nothing else: a run starts some ninety of them, and most are short."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

DRAWING = {"matplotlib", "seaborn"}
TEMPLATES = {"jinja2"}
STATISTICS = {"scipy"}
TABLES = {"pandas"}
LEARNING = {"torch"}
ATTACKS = {"pyautoattack"}
SOURCES = {"torchvision"}
COMPILER = {"torch._dynamo", "torch._inductor", "sympy"}
HEAVY = DRAWING | TEMPLATES | STATISTICS | TABLES | LEARNING | ATTACKS | SOURCES | COMPILER

USES = {
    "ablation": TABLES | STATISTICS | DRAWING,
    "against_paper": TABLES | STATISTICS,
    "audit": TABLES,
    "audit_model": LEARNING,
    "autoattack": LEARNING | ATTACKS,
    "claims": TABLES | STATISTICS | TEMPLATES,
    "collect": set(),
    "cost": TABLES,
    "differences": TABLES | STATISTICS,
    "download": set(),
    "figure1": TABLES | STATISTICS | DRAWING,
    "figure2": TABLES | STATISTICS | DRAWING,
    "histories": TABLES | STATISTICS | DRAWING,
    "pareto": TABLES | STATISTICS | DRAWING,
    "publish": TABLES,
    "strong": LEARNING,
    "sweep_bim": LEARNING,
    "table1": TABLES | STATISTICS,
    "table1_bars": TABLES | STATISTICS | DRAWING,
    "time_epochs": LEARNING | TABLES,
    "trace_bim": LEARNING,
    "train": LEARNING,
    "transfer": LEARNING,
    "transfer_map": TABLES | STATISTICS | DRAWING,
    "variants": TABLES | STATISTICS,
}
SHARED = {"cell", "command", "outputs"}


def loaded(code: str, *, cwd: Path) -> set[str]:
    """Which of `HEAVY` a fresh interpreter has loaded after `code`."""
    code += f"; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"]
    return set(subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.split())


def test_every_script_is_listed() -> None:
    assert {script.stem for script in SOURCE.glob("*.py")} == USES.keys() | SHARED


@pytest.mark.parametrize(("script", "uses"), USES.items())
def test_a_script_loads_only_what_it_uses(script: str, uses: set[str], tmp_path: Path) -> None:
    assert loaded(f"import {script}", cwd=tmp_path) == uses


def test_tables_are_built_written_and_read_without_pandas(tmp_path: Path) -> None:
    """Arrow loads it by itself in places, none of which shows when a script is imported."""
    code = (
        "import numpy as np; from pathlib import Path; from advtrain.results.parquet import *; "
        "row = evaluation_row('fgsm', np.array([True, False]), epsilon=0.3, step_size=None, iterations=1); "
        "table = evaluation_table([{'dataset': 'mnist', 'defense': 'vanilla', 'seed': 0, **row}]); "
        "write_table(table, Path('t.parquet'), provenance({})); "
        "read_table(Path('t.parquet')).sort_by('seed').to_pylist()"
    )
    assert loaded(code, cwd=tmp_path) == set()


def test_what_a_script_has_loaded_is_no_garbage_to_look_through(tmp_path: Path) -> None:
    code = "import atexit, gc, collect; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); collect.main(['--help'])"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "True"
