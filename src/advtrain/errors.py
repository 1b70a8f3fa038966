"""The one exception that means "the input is wrong", so that a command can answer with a line instead of a traceback."""


class InputError(ValueError):
    """A value, file or key from outside is not what it has to be; the message names it and says what to do."""


def check_at_least_one(name: str, value: int) -> None:
    """Raise InputError unless the setting `name` is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}; it has to be an integer of at least 1")
