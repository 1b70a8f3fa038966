"""The exceptions that a command answers with a line instead of a traceback: "the input is wrong", and "asked to stop"."""


class InputError(ValueError):
    """A value, file or key from outside is not what it has to be; the message names it and says what to do."""


class Stopped(Exception):  # noqa: N818
    """What was running was asked to stop, and has saved how far it came; the message says why it stopped."""


def check_at_least_one(name: str, value: int) -> None:
    """Raise InputError unless the setting `name` is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}; it has to be an integer of at least 1")


OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "bad_alloc")


def is_out_of_memory(error: Exception) -> bool:
    """Whether numpy, or torch on CUDA, MPS or the CPU, got no memory; asked of the words, as not all that ask load torch."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
