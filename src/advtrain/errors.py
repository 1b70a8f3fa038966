"""The one exception that means "the input is wrong", so that a command can answer with a line instead of a traceback."""


class InputError(ValueError):
    """A value, file or key from outside is not what it has to be; the message names it and says what to do."""
