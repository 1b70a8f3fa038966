import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advtrain.results.parquet import parquet as results
from advtrain.system.errors import InputError
from advtrain.results.parquet import (
    EVALUATION_SCHEMA,
    evaluation_row,
    evaluation_table,
    provenance,
    read_provenance,
    read_table,
    table_of,
    unpack_outcomes,
    write_table,
)
from synthetic import outcome_row

CELL = {"dataset": "mnist", "defense": "proposed", "seed": 0}


def test_the_evaluation_table_has_its_columns_in_order_and_of_their_types() -> None:
    table = evaluation_table([{**outcome_row("bim", 150, 200, 10), **CELL}])
    assert table.schema == EVALUATION_SCHEMA
    assert table["accuracy"].to_pylist() == [0.75]
    assert table["iterate"].to_pylist() == [10]


COLUMNS = {
    "integer": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "bytes": (pa.binary(), st.binary()),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])


@given(
    st.lists(
        st.fixed_dictionaries({name: st.none() | value for name, (_, value) in COLUMNS.items()}),
        min_size=0,
        max_size=20,
    )
)
def test_a_table_of_rows_is_what_arrow_makes_of_them(rows: list[dict[str, Any]]) -> None:
    table = table_of(rows, SCHEMA)
    table.validate(full=True)
    assert table.equals(pa.Table.from_pylist(rows, schema=SCHEMA))


def test_a_table_of_rows_keeps_a_figure_that_is_not_a_number() -> None:
    (value,) = table_of([{"a": math.nan}], pa.schema([("a", pa.float64())]))["a"].to_pylist()
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("value", "kind"), [(1.5, pa.int64()), ("1", pa.int64()), ("1", pa.float64()), (1, pa.string()), (0, pa.string())]
)
def test_a_value_of_another_type_is_refused(value: object, kind: pa.DataType) -> None:
    with pytest.raises(TypeError):
        table_of([{"a": value}], pa.schema([("a", kind)]))


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_row_tells_which_examples_were_right(right: list[bool]) -> None:
    row = evaluation_row("fgsm", np.array(right), epsilon=0.3, step_size=None, iterations=1)
    assert unpack_outcomes(row["outcomes"], len(right)).tolist() == right
    assert (row["examples"], row["correct"]) == (len(right), sum(right))


def test_a_table_reads_back_as_written_with_its_provenance(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 0.25]})
    made = provenance({"epsilon": 0.3, "seeds": [0, 1]}, device="cpu x86_64")
    write_table(table, tmp_path / "t.parquet", made)
    assert read_table(tmp_path / "t.parquet").equals(table)
    found = read_provenance(tmp_path / "t.parquet")
    assert found == made
    assert found["config"]["seeds"] == [0, 1]
    assert found["device"] == "cpu x86_64"
    assert {"python", "torch"} <= found["versions"].keys()
    assert "cuda" in found
    assert found["commit"]


def test_equal_runs_give_equal_files_without_times_and_paths(tmp_path: Path) -> None:
    for name in ("one.parquet", "two.parquet"):
        write_table(pa.table({"a": [1]}), tmp_path / name, provenance({"epochs": 3}))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert str(Path.home()) not in json.dumps(read_provenance(tmp_path / "one.parquet"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the package in it, committed."""
    files = ["src/advtrain/results.py", "config/config.yaml", "docs/results/cpu/table1.md", "README.md"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as committed")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(results, "__file__", str(tmp_path / files[0]))
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "marked"),
    [
        ("src/advtrain/results.py", True),
        ("config/config.yaml", True),
        ("docs/results/cpu/table1.md", False),
        ("README.md", False),
        ("notes.txt", False),
    ],
)
def test_the_commit_is_marked_where_code_or_configuration_differ_from_it(changed: str, marked: bool, checkout: Path) -> None:
    commit = provenance({})["commit"]
    assert len(commit) == 40
    (checkout / changed).write_text("changed")
    assert provenance({})["commit"] == (f"{commit}-dirty" if marked else commit)


def test_provenance_carries_that_of_the_inputs() -> None:
    assert provenance({}, inputs={"sweep": {"commit": "abc"}})["inputs"]["sweep"]["commit"] == "abc"


@pytest.mark.parametrize("content", [None, b"", b"not parquet at all"])
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.parquet: (no such file|not a Parquet file)"):
        read_table(tmp_path / "t.parquet")
