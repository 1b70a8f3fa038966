"""What all scripts share on their command lines: errors as one line, and option types."""

import gc
import json
from pathlib import Path
from typing import Any

import click

from advtrain.system.errors import InputError, Stopped, is_out_of_memory
from advtrain.system.settings import read_value
from cli.stopping import stop_with_parent

STOPPED = 143
"""Exit status of a script that was asked to stop and has saved its work, as of a process that SIGTERM ended."""


class Command(click.Command):
    """A click command that reports user and environment errors in one line: wrong input, failing files, too little memory."""

    def __init__(self, *args: Any, lower: str = "", **kwargs: Any) -> None:
        """Args: lower, the configuration's keys that make it need less memory."""
        super().__init__(*args, **kwargs)
        self.lower = lower

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command as the process's main program, which stops when the Snakemake that started it dies."""
        gc.freeze()  # imported modules stay to the end; searching torch takes a third of a second at exit alone
        stop_with_parent()
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the exit status is 1 for what failed, `STOPPED` for what was asked to stop."""
        try:
            return super().invoke(ctx)
        except Stopped as error:
            click.echo(f"Stopped: {error}. What is done is saved; run again to resume.", err=True)
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


class FromJson(click.ParamType[Any]):
    """A JSON object, read into a dataclass or a mapping such as `dict[str, Plan]`: a slice of the configuration."""

    name = "json"

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the option's text; what is wrong is one line that names the key."""
        try:
            return read_value(self.kind, json.loads(value), "")
        except InputError as error:
            self.fail(str(error), param, ctx)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)


def say(*parts: str) -> None:
    """Print parts as one line on the console, and a line each in the log of a rule that has only stderr there."""
    click.echo("; ".join(parts))
    click.echo("\n".join(parts), err=True)


FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
