import errno
import resource
from pathlib import Path

import pytest

from advtrain.files import write_atomically, write_text


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
