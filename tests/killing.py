"""A run that is killed at one of its checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from advtrain.results import checkpoint


class KilledError(Exception):
    pass


@contextmanager
def checkpoints(killed_after: int | None = None) -> Iterator[list[None]]:
    """Within it, an entry for each checkpoint that is saved; after the one of this number the run is killed."""
    saves: list[None] = []
    save_state = checkpoint.save_state

    def save(*arguments: Any) -> None:
        save_state(*arguments)
        saves.append(None)
        if len(saves) == killed_after:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save)
        yield saves
