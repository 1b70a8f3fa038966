import errno
import resource
from pathlib import Path
from typing import IO

import pytest

from advtrain.results.atomic import write_atomically, write_text


def test_a_file_has_its_folder_made_and_usual_permissions_and_no_other_file_is_left(tmp_path: Path) -> None:
    file, plain = tmp_path / "new" / "folder" / "file.md", tmp_path / "plain"
    write_text(file, "94.21 ± 0.30")
    plain.write_text("text")
    assert file.read_text(encoding="utf-8") == "94.21 ± 0.30"
    assert file.stat().st_mode == plain.stat().st_mode
    assert list(file.parent.iterdir()) == [file]


def test_a_failed_write_and_a_full_disk_leave_the_old_file_and_the_error_names_it(tmp_path: Path) -> None:
    file = tmp_path / "big.md"
    write_text(file, "old")
    with pytest.raises(ZeroDivisionError):
        write_atomically(file, lambda stream: stream.write(b"half") / 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"big\.md") as error:
            write_text(file, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    with pytest.raises(OSError, match=r"big\.md"):
        write_text(file / "table1.md", "its folder is a file")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_that_write_the_same_file_at_once_both_succeed_and_it_is_whole(tmp_path: Path) -> None:
    """The second begins and ends while the first is half through."""

    def write_slowly(stream: IO[bytes]) -> None:
        stream.write(b"first, ")
        stream.flush()
        write_text(tmp_path / "file", "second")
        stream.write(b"to the end")

    write_atomically(tmp_path / "file", write_slowly)
    assert (tmp_path / "file").read_text() == "first, to the end"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
