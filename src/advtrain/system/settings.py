"""Slices of the configuration as dataclasses: each stage's settings arrive as one JSON object and become one frozen value."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from advtrain.system.errors import InputError, check_at_least_one

T = TypeVar("T")


def read_settings(kind: type[T], values: object, section: str = "") -> T:
    """Make a dataclass of a section of the configuration, as JSON gives it; `section` is its full name, for messages.

    `kind` is a keyword-only dataclass. Its fields may be int, float, str, bool, Literal, None, tuples, mappings and other such
    dataclasses, and unions of these. It checks the ranges of its values itself, in `__post_init__`.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type or is out of range; the message names the key.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{section or kind.__name__} is {values!r}; it has to be a section with keys")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    at = f"{section}." if section else ""
    for key in sorted(values.keys() - known.keys()):
        raise InputError(f"{at}{key} is not a setting; there are {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{at}{name} is missing")
    types_of = get_type_hints(kind)
    read = {name: read_value(types_of[name], value, f"{at}{name}") for name, value in values.items()}
    try:
        return kind(**read)
    except InputError as error:
        raise InputError(f"{at}{error}") from None


def check_counts(settings: Any, *or_zero: str) -> None:
    """Raise InputError unless every whole number of a dataclass of settings is at least 1, seeds and `or_zero` aside."""
    for field in fields(settings):
        if field.type in (int, tuple[int, ...]) and "seed" not in field.name and field.name not in or_zero:
            value = getattr(settings, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                check_at_least_one(field.name, number)


def read_value(kind: Any, value: Any, name: str) -> Any:
    """A value as its type wants it: lists become tuples, integers floats where a float is wanted; raises as `read_settings`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return read_settings(kind, value, name)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        chosen = next((option for option in arguments if _fits(option, value)), None)
        if chosen is not None:
            return read_value(chosen, value, name)
    elif origin is Literal:
        if value in arguments:
            return value
        raise InputError(f"{name} is {value!r}; it has to be one of {', '.join(map(str, arguments))}")
    elif origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) == len(value):
            return tuple(read_value(kinds[place], item, f"{name}[{place}]") for place, item in enumerate(value))
    elif isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: read_value(arguments[1], item, f"{name}.{key}".lstrip(".")) for key, item in value.items()}
    elif kind is Any or _fits(kind, value):
        return float(value) if kind is float else value
    raise InputError(f"{name or 'it'} is {value!r}; it has to be {_described(kind)}")


def _fits(kind: Any, value: object) -> bool:
    """Whether a value is of a type as JSON has it: 1 is also a float, true is not a number."""
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if is_dataclass(kind):
        return isinstance(value, Mapping)
    return isinstance(value, (list, tuple) if get_origin(kind) is tuple else get_origin(kind) or kind)


def _described(kind: Any) -> str:
    """A type in words."""
    words = {int: "an integer", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    if kind in words:
        return words[kind]
    return "a list" if get_origin(kind) is tuple else " or ".join(map(_described, get_args(kind))) or kind.__name__
