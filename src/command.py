"""What the scripts' command lines share: errors as one line, and option types."""

import gc
import json
from pathlib import Path
from typing import Any

import click

from advtrain.errors import InputError, Stopped, is_out_of_memory
from advtrain.stopping import end_with_snakemake

STOPPED = 143
"""Exit status of what was asked to stop and has saved its work, as of a process that SIGTERM ended."""


class Command(click.Command):
    """A click command that answers with one line what is not its own fault: wrong input, failing files, too little memory."""

    def __init__(self, *args: Any, lower: str = "", **kwargs: Any) -> None:  # noqa: ANN401
        """Args: lower, the configuration's keys that make it need less memory."""
        super().__init__(*args, **kwargs)
        self.lower = lower

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run the command as a process of its own, which ends with the Snakemake that started it.

        What was imported stays to the end, so the garbage collector need not go through it: with torch that takes a third of a
        second at the end alone.
        """
        gc.freeze()
        end_with_snakemake()
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command; the exit status is 1 for what failed, `STOPPED` for what was asked to stop."""
        try:
            return super().invoke(ctx)
        except Stopped as error:
            click.echo(f"Stopped: {error}. What is done is saved; run again to go on from there.", err=True)
            ctx.exit(STOPPED)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if not (self.lower and is_out_of_memory(error)):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise click.ClickException(f"{reason}\nThere is too little memory; lower {self.lower}") from error


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
FOLDER = click.Path(file_okay=False, path_type=Path)
