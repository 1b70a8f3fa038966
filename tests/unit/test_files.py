import errno
import fcntl
import os
import resource
import time
from pathlib import Path
from typing import IO

import pytest

from advtrain.results.atomic import write_atomically, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_folder_is_made_and_nothing_but_the_file_is_in_it(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "folder" / "file.md", "94.21 ± 0.30")
    assert (tmp_path / "new" / "folder" / "file.md").read_text(encoding="utf-8") == "94.21 ± 0.30"
    assert names(tmp_path / "new" / "folder") == ["file.md"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")

    def fail(file: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"big\.md") as error:
            write_text(tmp_path / "big.md", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    assert names(tmp_path) == []


def test_a_folder_that_is_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(OSError, match="results"):
        write_text(tmp_path / "results" / "table1.md", "text")


def test_the_file_has_the_permissions_that_the_user_s_mask_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    write_text(tmp_path / "ours", "text")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_kill_has_left_goes_with_the_next_write_of_that_file(tmp_path: Path) -> None:
    for name in (".file.0123abcd.part", ".other.0123abcd.part", ".file2.0123abcd.part"):
        (tmp_path / name).write_text("half")
    write_text(tmp_path / "file", "whole")
    assert names(tmp_path) == [".file2.0123abcd.part", ".other.0123abcd.part", "file"]


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


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be another process's goes after a day."""

    def no_locks(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for name, age in ((".file.new.part", 60), (".file.old.part", 25 * 3600)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, times=(time.time() - age,) * 2)
    write_text(tmp_path / "file", "whole")
    assert names(tmp_path) == [".file.new.part", "file"]


def test_what_somebody_else_has_left_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".file.others.part").mkdir()  # as a file without permission is: it cannot be opened
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"
