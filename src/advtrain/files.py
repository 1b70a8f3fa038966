"""Files that are either there and whole, or not there."""

import contextlib
import fcntl
import glob
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there in one step.

    A reader sees the old file or the new one, never half of one, and of two processes that write the same file each has a
    temporary one of its own. A failed write leaves the old file and no temporary one. A kill may leave `.{name}.*.part`; the
    next write of the same file removes it.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the error names `path`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        with temporary.open("xb") as file:
            _lock(file)
            write(file)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except BaseException:
        _remove(temporary)
        raise


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files beside `path` that kills have left: no process has them locked, and they are not new."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(FileNotFoundError), leftover.open("r+b") as file:
            if _lock(file) and os.fstat(file.fileno()).st_size > 0:
                leftover.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Lock a file against other processes until it is closed; False where one has it, or the file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is what is wrong; the error on its way says so
