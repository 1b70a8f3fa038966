"""The defenses by name, each found by the name of its file.

To add one, write a file in this folder with a subclass of `Defense`, and name the file as `method` of an entry of the
configuration's `defenses`.
"""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advtrain import defenses
from advtrain.defenses import methods
from advtrain.defenses.base import Defense
from advtrain.system.errors import InputError


def source_file(method: str) -> Path:
    """The file of the defense `method`; raises InputError if there is none."""
    if method not in methods():
        raise InputError(f"method {method!r} is not a defense; there are {', '.join(methods())}")
    return Path(defenses.__path__[0]) / f"{method}.py"


def create(settings: Mapping[str, Any], *, epsilon: float) -> Defense:
    """Make the defense of one configuration entry: `method`, and that defense's own keyword arguments.

    Raises InputError if `method` is missing or unknown, or the defense does not take a key, misses one or refuses its value.
    """
    arguments = dict(settings)
    method = arguments.pop("method", None)
    defense = _defense_in(source_file(method))
    known = set(inspect.signature(defense).parameters) - {"epsilon"}
    if arguments.keys() != known:
        wrong = sorted(arguments.keys() - known) or sorted(known - arguments.keys())
        word = "takes no" if arguments.keys() - known else "needs"
        raise InputError(f"defense {method} {word} {', '.join(wrong)}; its settings are {', '.join(sorted(known)) or 'none'}")
    return defense(epsilon=epsilon, **arguments)


def _defense_in(file: Path) -> type[Defense]:
    """The one subclass of `Defense` that a file of this folder defines."""
    module = importlib.import_module(f"{defenses.__name__}.{file.stem}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Defense) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise InputError(f"{file} defines {len(found)} subclasses of Defense; exactly one is needed")
    return found[0]
