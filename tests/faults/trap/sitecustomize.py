"""A trap that tests put on PYTHONPATH: it kills a script of the workflow from within, the n-th time it comes to a given moment.

Python runs this file at its start. The trap is set by the variable TRAP, "script|moment|n"; when it springs, it leaves the file
`sprung` in the working folder, and none of the process's own code gets a word in: SIGKILL.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def spring() -> None:
    Path("sprung").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def sprung(function: Callable[..., Any], n: int, *, when: str, suffix: str = "") -> Callable[..., Any]:
    """`function`, whose n-th call springs the trap before or after it; a call counts if its last argument ends in `suffix`."""
    calls = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        counts = not suffix or str(arguments[-1]).endswith(suffix)
        calls += counts
        if counts and calls == n and when == "before":
            spring()
        result = function(*arguments, **options)
        if counts and calls == n and when == "after":
            spring()
        return result

    return counted


def half_written(n: int, suffix: str) -> Callable[[int], None]:
    """In fsync's place: cuts the n-th of the files with this suffix to half of what was written, and springs the trap."""
    calls = 0

    def counted(descriptor: int) -> None:
        nonlocal calls
        temporary = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls += temporary.rsplit(".", 2)[0].endswith(suffix)
        if calls == n:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            spring()

    return counted


def set_trap(moment: str, n: int) -> None:
    import torch

    from advtrain.attacks.gradient import gradient as attacks
    from advtrain.results.parquet import atomic as files
    from advtrain.training.trainer import trainer as training

    match moment.split():
        case ["before", "an", "update"]:
            torch.optim.Adam.step = sprung(torch.optim.Adam.step, n, when="before")
        case ["after", "an", "update"]:
            torch.optim.Adam.step = sprung(torch.optim.Adam.step, n, when="after")
        case ["between", "epochs"]:
            training.Trainer.train_epoch = sprung(training.Trainer.train_epoch, n, when="after")
        case ["within", "an", "attack"]:
            attacks.project = sprung(attacks.project, n, when="before")
        case ["half", suffix]:
            files.os.fsync = half_written(n, suffix)
        case ["before", "moving", suffix]:
            Path.replace = sprung(Path.replace, n, when="before", suffix=suffix)
        case ["after", "moving", suffix]:
            Path.replace = sprung(Path.replace, n, when="after", suffix=suffix)
        case _:
            raise ValueError(moment)


if "TRAP" in os.environ:
    script, moment, n = os.environ["TRAP"].split("|")
    if script in sys.orig_argv:
        sys.path.append(str(Path(script).parent.absolute()))
        set_trap(moment, int(n))
