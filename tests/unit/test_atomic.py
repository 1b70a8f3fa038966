import errno
import resource
from pathlib import Path
from typing import IO

import pytest

from advtrain.results.atomic import write_atomically, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_folder_is_made_and_has_the_file_with_usual_permissions_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "folder" / "file.md", "94.21 ± 0.30")
    assert (tmp_path / "new" / "folder" / "file.md").read_text(encoding="utf-8") == "94.21 ± 0.30"
    assert names(tmp_path / "new" / "folder") == ["file.md"]
    (tmp_path / "plain").write_text("text")
    assert (tmp_path / "new" / "folder" / "file.md").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_and_a_full_disk_leave_the_old_file_and_the_error_names_it(tmp_path: Path) -> None:
    write_text(tmp_path / "big.md", "old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "big.md", fail)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"big\.md") as error:
            write_text(tmp_path / "big.md", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    with pytest.raises(OSError, match=r"big\.md"):
        write_text(tmp_path / "big.md" / "table1.md", "its folder is a file")
    assert (tmp_path / "big.md").read_text() == "old"
    assert names(tmp_path) == ["big.md"]


def test_two_that_write_the_same_file_at_once_both_succeed_and_it_is_whole(tmp_path: Path) -> None:
    """The second begins and ends while the first is half through."""

    def write_slowly(file: IO[bytes]) -> None:
        file.write(b"first, ")
        file.flush()
        write_text(tmp_path / "file", "second")
        file.write(b"to the end")

    write_atomically(tmp_path / "file", write_slowly)
    assert (tmp_path / "file").read_text() == "first, to the end"
    assert names(tmp_path) == ["file"]
