"""Files that are no such files: whatever bytes they have, the answer is right or is an InputError that names the file."""

import itertools
import math
import os
import random
import struct
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advtrain.data.examples import load_examples
from advtrain.system.errors import InputError
from advtrain.data.idx import IMAGES_MAGIC, LABELS_MAGIC, read_idx, write_idx
from advtrain.results.parquet import PROVENANCE_KEY, evaluation_table, read_provenance, read_table, write_table
from counting import Count
from synthetic import outcome_row
from workspace import REPOSITORY

MAGICS = (IMAGES_MAGIC, LABELS_MAGIC)
MANY = 2**32 - 1
OVERHEAD = 64 * 1024
"""Bytes that reading any file may take beside its content: the stream's buffer, the header, the message."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file in memory where there is such a place, since these tests write tens of thousands."""
    memory = Path("/dev/shm")
    return (memory if os.access(memory, os.W_OK) else tmp_path) / f"fuzzed-{os.getpid()}-idx"


@pytest.fixture(autouse=True)
def removed(file: Path) -> Iterator[None]:
    yield
    file.unlink(missing_ok=True)


def array_in(content: bytes, magic: int) -> np.ndarray | None:
    """What an IDX file has by the format's definition, or None if it is no such file: the reader, in other words."""
    words = [int.from_bytes(content[start : start + 4], "big") for start in range(0, 4 * (1 + magic % 256), 4)]
    shape, body = words[1:], content[4 * len(words) :]
    whole = len(content) >= 4 * len(words) and len(body) == math.prod(shape)
    right = whole and words[0] == magic and shape[1:] in ([], [28, 28])
    return np.array(list(body), np.uint8).reshape(shape) if right else None


def assert_right_or_named(file: Path, content: bytes, magic: int) -> bool:
    """Hold what is read from `content` to the format; whether it is an IDX file."""
    file.write_bytes(content)
    expected = array_in(content, magic)
    try:
        found = read_idx(file, magic)
    except InputError as error:
        assert str(file) in str(error)
        assert expected is None, f"refused, though it is right: {error}"
        return False
    assert expected is not None, f"accepted {content[:40]!r}"
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert (found == expected).all()
    return True


def small(magic: int, file: Path) -> bytes:
    """A small file of images or of labels, as bytes."""
    write_idx(file, np.arange(2 * 784).reshape(2, 28, 28) % 251 if magic == IMAGES_MAGIC else np.arange(40) % 10)
    return file.read_bytes()


@pytest.mark.parametrize("magic", MAGICS)
def test_every_value_of_every_byte_of_the_header(file: Path, magic: int, count: Count) -> None:
    right = small(magic, file)
    header = 4 * (1 + magic % 256)
    accepted = 0
    for place, value in itertools.product(range(header), range(256)):
        accepted += assert_right_or_named(file, right[:place] + bytes([value]) + right[place + 1 :], magic)
    assert accepted == header, "the right value of each byte, and no other"
    count("IDX inputs tried", header * 256)


@pytest.mark.parametrize("magic", MAGICS)
def test_every_length_shorter_and_some_longer(file: Path, magic: int, count: Count) -> None:
    right = small(magic, file)
    longer = [right + bytes(n) for n in range(1, 1000)]
    shorter = [right[:n] for n in range(len(right))]
    assert not any(assert_right_or_named(file, content, magic) for content in (*shorter, *longer))
    count("IDX inputs tried", len(longer) + len(shorter))


@pytest.mark.parametrize("magic", MAGICS)
def test_headers_that_promise_what_no_memory_has(file: Path, magic: int, count: Count) -> None:
    """Products that are 0, or the file's length, modulo 2**32 and 2**64 are among them."""
    numbers = (0, 1, 2, 27, 28, 29, 784, 2**16, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 28, MANY - 1, MANY)
    tried = 0
    for shape in itertools.product(numbers, repeat=magic % 256):
        for body in (b"", bytes(784)):
            assert_right_or_named(file, struct.pack(f">{1 + len(shape)}I", magic, *shape) + body, magic)
            tried += 1
    count("IDX inputs tried", tried)


@pytest.mark.parametrize("magic", MAGICS)
def test_bytes_drawn_at_random_and_right_files_with_some_bytes_drawn(file: Path, magic: int, count: Count) -> None:
    drawn = random.Random(magic)
    right = small(magic, file)
    tried = 50_000
    accepted = 0
    for turn in range(tried):
        content = bytearray(right)
        if turn % 2:
            content = bytearray(drawn.randbytes(drawn.randrange(64)))
            content[: drawn.choice((0, 0, 4, 8))] = right[: drawn.choice((0, 4, 8))]
        else:
            for _ in range(drawn.randint(1, 6)):
                content[drawn.choice((drawn.randrange(16), drawn.randrange(len(content))))] = drawn.randrange(256)
        accepted += assert_right_or_named(file, bytes(content), magic)
    assert 0 < accepted < tried / 2, "both answers must have been seen"
    count("IDX inputs tried", tried)


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    magic=st.sampled_from(MAGICS),
    written=st.sampled_from(MAGICS) | st.integers(0, MANY),
    shape=st.lists(st.sampled_from([0, 1, 3, 28]) | st.integers(0, MANY), max_size=4),
    body=st.sampled_from([0, 3, 784, 3 * 784]) | st.integers(0, 100),
)
def test_headers_of_any_number_of_dimensions(file: Path, magic: int, written: int, shape: list[int], body: int) -> None:
    assert_right_or_named(file, struct.pack(f">{1 + len(shape)}I", written, *shape) + bytes(body), magic)


@pytest.mark.parametrize("promised", [MANY, 2**30, 10**6])
@pytest.mark.parametrize("length", [0, 10_000, 5_000_000])
@pytest.mark.parametrize("magic", MAGICS)
def test_no_more_memory_is_asked_for_than_the_file_has_bytes(file: Path, magic: int, promised: int, length: int) -> None:
    shape = (promised,) if magic == LABELS_MAGIC else (promised, 28, 28)
    file.write_bytes(struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(length))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="expected"):
            read_idx(file, magic)
        assert tracemalloc.get_traced_memory()[1] < OVERHEAD
    finally:
        tracemalloc.stop()


def test_a_right_file_is_read_into_as_much_memory_as_it_has_bytes(file: Path) -> None:
    write_idx(file, np.zeros((5000, 28, 28)))
    tracemalloc.start()
    try:
        read_idx(file, IMAGES_MAGIC)
        assert 5000 * 784 <= tracemalloc.get_traced_memory()[1] < 5000 * 784 + OVERHEAD
    finally:
        tracemalloc.stop()


def test_a_file_with_holes_that_no_memory_holds_is_named(tmp_path: Path) -> None:
    """As long as its header says, three terabytes, of which the disk has a block."""
    file = tmp_path / "images"
    file.write_bytes(struct.pack(">IIII", IMAGES_MAGIC, MANY, 28, 28))
    os.truncate(file, 16 + MANY * 784)
    # The limit is for machines that lend more memory than they have.
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); "
        f"sys.path.insert(0, {str(REPOSITORY / 'src')!r}); from pathlib import Path; from advtrain.data.idx import read_idx; "
        f"read_idx(Path({str(file)!r}), {IMAGES_MAGIC})"
    )
    result = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert "InputError" in result.stderr.splitlines()[-1]
    assert "images: 3367254359296 bytes, more than the memory has" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("special", ["/dev/zero", "folder", "pipe", "link to itself", "link to nothing", "file/below"])
def test_what_is_no_file_is_named_and_not_waited_for(special: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to itself").symlink_to("link to itself")
    (tmp_path / "link to nothing").symlink_to("nothing")
    with pytest.raises(InputError, match=f"{special}: "):
        read_idx(tmp_path / special, IMAGES_MAGIC)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(file: Path) -> None:
    small(LABELS_MAGIC, file)
    file.chmod(0)
    with pytest.raises(InputError, match="idx: Permission denied"):
        read_idx(file, LABELS_MAGIC)


def test_an_error_of_the_disk_is_named() -> None:
    """A regular file by its kind whose first byte cannot be read; root meets no closed permission to try."""
    with pytest.raises(InputError, match="/proc/self/mem: Input/output error"):
        read_idx(Path("/proc/self/mem"), IMAGES_MAGIC)


@pytest.mark.parametrize(
    ("images", "labels", "wrong"),
    [(0, 0, "there are no images"), (2, 3, r"labels are \[3\] torch.int64 for 2 images"), (1, -1, "labels lie in 255..255")],
)
def test_files_that_do_not_go_together_are_both_named(images: int, labels: int, wrong: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "images", np.zeros((images, 28, 28)))
    write_idx(tmp_path / "labels", np.zeros(labels) if labels >= 0 else np.array([255]))
    with pytest.raises(InputError, match=rf"images and .*labels: {wrong}"):
        load_examples(tmp_path / "images", tmp_path / "labels")


MADE = {"config": {"epsilon": 0.3, "seeds": [0, 1]}, "commit": "0" * 40, "versions": {"torch": "2.11.0", "pyarrow": "26.0.1"}}
Outcome = Literal["refused", "same", "changed"]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A small result table."""
    cells = [{"dataset": "mnist", "defense": "vanilla", "seed": seed} for seed in (0, 1)]
    return evaluation_table([{**outcome_row("bim", 150 - n, 200, n), **cell} for cell in cells for n in (1, 2, 10)])


@pytest.fixture
def parquet(file: Path, table: pa.Table) -> bytes:
    """The file of that table."""
    write_table(table, file, MADE)
    return file.read_bytes()


def read_back(file: Path, content: bytes, table: pa.Table) -> Outcome:
    """What comes of a table's file with another content; nothing but an InputError that names it may be raised."""
    file.write_bytes(content)
    try:
        found, made = read_table(file), read_provenance(file)
    except InputError as error:
        assert str(file) in str(error)
        return "refused"
    found.to_pylist()
    assert isinstance(made, dict)
    return "same" if found.equals(table) and made == MADE else "changed"


def end_of_values(parquet: bytes) -> int:
    """Where the file's metadata begins: its last eight bytes are their length and PAR1."""
    return len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")


def test_a_table_cut_short_anywhere_is_named(file: Path, table: pa.Table, parquet: bytes, count: Count) -> None:
    assert read_back(file, parquet, table) == "same"
    assert {read_back(file, parquet[:length], table) for length in range(len(parquet))} == {"refused"}
    count("Parquet inputs tried", len(parquet))


def test_every_flipped_bit_of_the_values_is_found_or_changes_none(
    file: Path, table: pa.Table, parquet: bytes, count: Count
) -> None:
    """Also of the bytes between them that nothing reads, such as each page's own statistics."""
    end = end_of_values(parquet)
    answers = Counter(read_back(file, flipped(parquet, 8 * place + bit), table) for place in range(end) for bit in range(8))
    assert answers["changed"] == 0
    assert answers["refused"] > 8 * end / 2
    count("Parquet inputs tried", 8 * end)
    count("Parquet: flipped bits of the pages", 8 * end)
    count("Parquet: of these refused, the others change no value", answers["refused"])


def test_flipped_bits_of_the_metadata_end_in_a_table_or_an_error(
    file: Path, table: pa.Table, parquet: bytes, count: Count
) -> None:
    """They have no checksum, so that some read as another table: a name or a type is another."""
    drawn = random.Random(0)
    tried, places = 10_000, range(8 * end_of_values(parquet), 8 * len(parquet))
    answers = Counter(read_back(file, flipped(parquet, drawn.choice(places)), table) for _ in range(tried))
    assert answers["refused"] > tried / 3
    count("Parquet inputs tried", tried)
    count("Parquet: flipped bits of the metadata", tried)
    for answer, name in (("refused", "refused"), ("changed", "read as another table")):
        count(f"Parquet: of these {name}", answers[answer])


def test_tables_with_many_bytes_drawn_at_random(file: Path, table: pa.Table, parquet: bytes, count: Count) -> None:
    drawn = random.Random(1)
    tried = 5000
    for _ in range(tried):
        content = bytearray(parquet)
        for _ in range(drawn.choice((2, 5, 50))):
            content[drawn.randrange(len(content))] = drawn.randrange(256)
        if drawn.random() < 0.3:
            content[drawn.randrange(len(content)) :] = drawn.randbytes(drawn.randrange(40)) + parquet[-8:]
        read_back(file, bytes(content), table)
    count("Parquet inputs tried", tried)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("made", [b"", b"{", b"[]", b"null", b"1", b"\xff", b"[" * 100_000, b'{"a": ' * 100_000])
def test_a_provenance_that_is_none_is_named(made: bytes, file: Path, table: pa.Table) -> None:
    pq.write_table(table.replace_schema_metadata({PROVENANCE_KEY: made}), file)
    with pytest.raises(InputError, match="idx: its provenance is"):
        read_provenance(file)


def test_a_text_that_is_no_unicode_is_named(file: Path) -> None:
    """Its page's checksum is right, and Arrow itself reads it, to fail wherever the text is first used."""
    buffers = [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")]
    pq.write_table(pa.table({"attack": pa.Array.from_buffers(pa.string(), 1, buffers)}), file)
    with pytest.raises(InputError, match=r"idx: not a Parquet file, or a damaged one .*Invalid UTF8"):
        read_table(file)


def test_a_pipe_is_no_table_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match=f"{path}: not a regular file"):
            read_table(path)
