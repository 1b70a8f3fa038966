"""Tables as files, and the rows of the evaluation table, which hold the outcome of every image."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advtrain.evaluation.table import EVALUATION_SCHEMA, evaluation_row, unpack_outcomes
from advtrain.results.parquet import read_provenance, read_table, write_rows
from advtrain.results.provenance import made_by
from advtrain.system.errors import InputError

VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.binary(): st.binary(),
}
SCHEMA = pa.schema([(str(kind), kind) for kind in VALUES])


@given(st.lists(st.fixed_dictionaries({str(kind): st.none() | value for kind, value in VALUES.items()}), max_size=20))
def test_rows_read_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "t.parquet"
    write_rows(rows, SCHEMA, file, made_by({}))
    assert read_table(file).to_pylist() == rows
    assert read_table(file).schema.equals(SCHEMA, check_metadata=False)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_row_of_the_evaluation_table_tells_which_examples_were_right(right: list[bool]) -> None:
    row = evaluation_row("bim", np.array(right), epsilon=0.3, step_size=None, iterations=10)
    assert row.keys() | {"dataset", "defense", "seed", "chance"} == set(EVALUATION_SCHEMA.names)
    assert unpack_outcomes(row["outcomes"], len(right)).tolist() == right
    assert (row["examples"], row["correct"], row["iterate"]) == (len(right), sum(right), 10)
    assert row["accuracy"] == pytest.approx(sum(right) / len(right))


def test_a_file_that_is_no_table_or_a_damaged_one_is_refused_by_name(tmp_path: Path) -> None:
    """Of damaged metadata, which has no checksum, only what is no longer JSON can be told."""
    file = tmp_path / "t.parquet"
    write_rows([{"string": "a value of some length"}], SCHEMA, file, made_by({}))
    whole = file.read_bytes()
    for content in (b"", b"not parquet at all", whole.replace(b"some length", b"some lengtj")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"t\.parquet: not a Parquet file, or a damaged one"):
            read_table(file)
    file.write_bytes(whole.replace(b'"commit"', b'"commit!'))
    with pytest.raises(InputError, match=r"t\.parquet: its provenance is damaged"):
        read_provenance(file)
    file.unlink()
    with pytest.raises(InputError, match=r"t\.parquet: no such file"):
        read_table(file)
