"""Damaged data: whatever bytes a file has, it is refused in one line that names it, or its values are unchanged."""

import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advtrain.data.idx import IMAGES_MAGIC, LABELS_MAGIC, read_idx, write_idx
from advtrain.results.parquet import read_table, write_table
from advtrain.results.provenance import made_by
from advtrain.system.errors import InputError

MAGICS = st.sampled_from([IMAGES_MAGIC, LABELS_MAGIC])
NUMBERS = st.sampled_from([0, 1, 2, 28, 784, 2**16, 2**31, 2**32 - 28, 2**32 - 1]) | st.integers(0, 2**32 - 1)
"""Some products of these are 0, or a small file's length, modulo 2**32 and 2**64."""
OVERHEAD = 64 * 1024  # bytes that reading any file may take on top of its content
many = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def array_in(content: bytes, magic: int) -> np.ndarray | None:
    """What an IDX file has by the format's definition, or None if it is no such file."""
    words = [int.from_bytes(content[start : start + 4], "big") for start in range(0, 4 * (1 + magic % 256), 4)]
    shape, body = words[1:], content[4 * len(words) :]
    whole = len(content) >= 4 * len(words) and len(body) == math.prod(shape)
    return np.frombuffer(body, np.uint8).reshape(shape) if whole and words[0] == magic and 0 not in shape else None


def assert_right_or_refused(file: Path, content: bytes, magic: int) -> None:
    """Hold what is read, and the memory that it takes, to the format."""
    file.write_bytes(content)
    found, expected = None, array_in(content, magic)
    tracemalloc.start()
    try:
        found = read_idx(file, magic)
    except InputError as error:
        assert_one_line(error, file)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert np.array_equal(found, expected) if expected is not None else found is None
    assert peak < OVERHEAD + (0 if found is None else found.nbytes)


def assert_one_line(error: InputError, file: Path) -> None:
    assert str(error).startswith(f"{file}: ")
    assert "\n" not in str(error)


def damaged(content: bytes, data: st.DataObject, end: int | None = None) -> bytes:
    """The content cut short, continued, or with some of the bytes before `end` overwritten."""
    kind = data.draw(st.sampled_from(["cut", "continued", "overwritten"]))
    if kind != "overwritten":
        length = data.draw(st.integers(0, len(content) - 1))
        return content[:length] if kind == "cut" else content + bytes(length + 1)
    changed = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, 15) | st.integers(0, (end or len(content)) - 1), min_size=1, max_size=6)):
        changed[place] = data.draw(st.integers(0, 255))
    return bytes(changed)


@many
@given(magic=MAGICS, data=st.data())
def test_a_damaged_idx_file_is_refused_or_read_as_its_bytes_say(tmp_path: Path, magic: int, data: st.DataObject) -> None:
    write_idx(tmp_path / "right", np.arange(2 * 784).reshape(2, 28, 28) if magic == IMAGES_MAGIC else np.arange(40) % 10)
    assert_right_or_refused(tmp_path / "idx", damaged((tmp_path / "right").read_bytes(), data), magic)


@many
@given(magic=MAGICS, shape=st.lists(NUMBERS, min_size=1, max_size=4), body=st.sampled_from([0, 3, 784, 3 * 784, 100_000]))
def test_a_header_that_promises_gigabytes_allocates_nothing(tmp_path: Path, magic: int, shape: list[int], body: int) -> None:
    assert_right_or_refused(tmp_path / "idx", struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(body), magic)


@many
@given(data=st.data())
def test_a_damaged_table_is_refused_or_its_values_are_unchanged(tmp_path: Path, data: st.DataObject) -> None:
    """Each page of values has a checksum. The metadata behind them, whose length the last eight bytes begin with, has none."""
    table, file = pa.table({"attack": ["fgsm", "bim", "pgd"], "accuracy": [0.9, 0.8, 0.7]}), tmp_path / "table.parquet"
    write_table(table, file, made_by({}))
    right = file.read_bytes()
    file.write_bytes(damaged(right, data, end=len(right) - 8 - int.from_bytes(right[-8:-4], "little")))
    try:
        assert read_table(file).equals(table)
    except InputError as error:
        assert_one_line(error, file)
