"""Traps that tests put on PYTHONPATH: each run of a script is killed from within at the next of some moments.

Python runs this file at its start. TRAPS has the moments of each script, such as {"train": ["after update 5", "half .pt 1"]}:
the n-th time that a run comes to its moment it notes that in the file sprung-train of the working folder, and none of the
process's own code gets a word in: SIGKILL.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def set_trap(moment: str, spring: Callable[[], None]) -> None:
    import torch

    from advtrain.attacks import gradient
    from advtrain.results import atomic
    from advtrain.training.trainer import Trainer

    when, what, number = moment.split()
    left = int(number)

    def comes(counts: bool) -> bool:
        nonlocal left
        left -= counts
        return counts and left == 0

    def replace(owner: Any, name: str, suffix: str = "") -> None:
        """Put a function in place of another that springs the trap before or after it."""
        function = getattr(owner, name)

        def trapped(*arguments: Any, **options: Any) -> Any:
            now = comes(str(arguments[-1]).endswith(suffix))
            if now and when == "before":
                spring()
            result = function(*arguments, **options)
            if now:
                spring()
            return result

        setattr(owner, name, trapped)

    def cut(descriptor: int) -> None:
        """In fsync's place: a file of the suffix has only half of its bytes, and the trap springs."""
        temporary = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if comes(temporary.rsplit(".", 2)[0].endswith(what)):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            spring()

    if when == "half":
        atomic.os.fsync = cut  # type: ignore[attr-defined]
    elif what.startswith("."):
        replace(Path, "replace", what)
    else:
        owners = {"update": (torch.optim.Adam, "step"), "epoch": (Trainer, "train_epoch"), "projection": (gradient, "project")}
        replace(*owners[what])


traps = json.loads(os.environ.get("TRAPS", "{}"))
script = next((Path(word).stem for word in sys.orig_argv if word.startswith("src/")), "")
if script in traps:
    note = Path(f"sprung-{script}")
    sprung = note.read_text().splitlines() if note.exists() else []
    if len(sprung) < len(traps[script]):
        moment = traps[script][len(sprung)]

        def spring() -> None:
            note.write_text("\n".join([*sprung, moment]))
            os.kill(os.getpid(), signal.SIGKILL)

        sys.path.append(str(Path("src").absolute()))
        set_trap(moment, spring)
