"""The exceptions that a command reports as one line instead of a traceback: "the input is wrong", and "asked to stop"."""


class InputError(ValueError):
    """A value, file or key given by the user is wrong; the message names it and says what to do."""


class Stopped(Exception):  # noqa: N818
    """The work was asked to stop, and its progress has been saved; the message says why it stopped."""


def check_at_least_one(name: str, value: int) -> None:
    """Raise InputError unless the setting `name` is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}; it has to be an integer of at least 1")


def check_above_zero(name: str, value: float) -> None:
    """Raise InputError unless the setting `name` is a finite number above 0."""
    if not 0 < value < float("inf"):
        raise InputError(f"{name} is {value!r}; it has to be a number above 0")


def check_not_negative(name: str, value: float) -> None:
    """Raise InputError unless the setting `name` is a finite number of at least 0."""
    if not 0 <= value < float("inf"):
        raise InputError(f"{name} is {value!r}; it has to be a number of at least 0")


def is_out_of_memory(error: Exception) -> bool:
    """Whether numpy, or torch on CUDA, MPS or the CPU, ran out of memory, told from the message."""
    signs = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "bad_alloc")
    return isinstance(error, MemoryError) or any(words in str(error) for words in signs)
