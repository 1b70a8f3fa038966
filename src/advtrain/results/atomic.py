"""Files that are either there and whole, or not there."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then move it there in one step; an OSError on the way names `path`.

    A reader sees the old file or the new one, never half of one, and processes that write the same file do not disturb each
    other. A failed write leaves the old file and no temporary one; a kill may leave `.{name}.*.part`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()))
