"""What the scripts' command lines share: errors as one line, and option types."""

import gc
import json
from pathlib import Path
from typing import Any

import click

from advtrain.errors import InputError


class Command(click.Command):
    """A click command that answers wrong input and a failing file system with one line and exit status 1."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run the command as a process of its own.

        What was imported stays to the end, so the garbage collector need not go through it: with torch that takes a third of a
        second at the end alone.
        """
        gc.freeze()
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (InputError, OSError) as error:
            raise click.ClickException(str(error)) from error


class Json(click.ParamType[dict[str, Any]]):
    """A JSON object, as a dict."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Parse the option's text."""
        try:
            parsed = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"{value!r} is not a JSON object", param, ctx)
        return parsed


class Integers(click.ParamType[list[int]]):
    """Integers with commas between, as a list."""

    name = "integers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Parse the option's text."""
        try:
            return [int(number) for number in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of integers with commas between", param, ctx)


FILE = click.Path(dir_okay=False, path_type=Path)
