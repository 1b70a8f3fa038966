"""Files that are either there and whole, or not there."""

import contextlib
import fcntl
import glob
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

OLD_SECONDS = 24 * 3600


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
            _lock(file, fcntl.LOCK_EX)
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
    """Remove the temporary files beside `path` that kills have left.

    They have content, which is written under a lock, and no process has them locked; or they are old.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError), leftover.open("r+b") as file:
            status = os.fstat(file.fileno())
            left = status.st_size > 0 and _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if left or time.time() - status.st_mtime > OLD_SECONDS:
                leftover.unlink()


def _lock(file: IO[bytes], operation: int) -> bool:
    """Lock a file until it is closed; False where another process has it, or the file system knows no locks."""
    try:
        fcntl.flock(file, operation)
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
