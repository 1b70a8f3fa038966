"""The type of the fixture `count`."""

from collections.abc import Callable

Count = Callable[[str, int], None]
"""`count("kills survived", 1)` adds to a figure of the summary at the end of the run."""
