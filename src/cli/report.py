"""What the scripts of tables and figures share: options, reading the tables of many cells, writing a table with its pages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa

from advtrain.report.labels import Labels
from advtrain.report.pages import Section, to_html, to_latex, to_markdown
from advtrain.results.atomic import write_text
from advtrain.results.parquet import read_provenances, read_table, write_table
from advtrain.results.provenance import Provenance, made_by
from cli.command import FILE, Command, FromJson


@dataclass(frozen=True)
class Outputs:
    """The files that a rule wants: each is written in the format of its suffix."""

    files: tuple[Path, ...]

    def of(self, *suffixes: str) -> list[Path]:
        """Those with one of some suffixes."""
        return [file for file in self.files if file.suffix in suffixes]

    def write_table(self, table: pd.DataFrame | pa.Table, made: Provenance) -> None:
        """Write a table as .parquet and .csv; a data frame without its index."""
        arrow = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
        for file in self.of(".parquet"):
            write_table(arrow.replace_schema_metadata(), file, made)
        for file in self.of(".csv"):
            write_text(file, arrow.to_pandas().to_csv(index=False))

    def write_page(self, title: str, sections: Sequence[Section]) -> None:
        """Write a page as .md, .html and .tex."""
        formats = {
            ".md": lambda: to_markdown(title, sections),
            ".html": lambda: to_html(title, sections),
            ".tex": lambda: to_latex(sections),
        }
        for file in self.of(*formats):
            write_text(file, formats[file.suffix]())


class _Outputs(click.Option):
    """Collects --output, which is given several times, as `Outputs`."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Outputs:
        return Outputs(super().type_cast_value(ctx, value))


def report_command(*tables: str, many: str = "") -> Callable[[Callable[..., None]], click.Command]:
    """A click command that makes tables or figures of result tables, with --labels and --output.

    Args:
        tables: names of options that take one table each.
        many: name of an option that takes the tables of many cells, given several times.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        for name in tables:
            function = click.option(f"--{name}", required=True, type=FILE, help="Parquet of an earlier rule.")(function)
        if many:
            several = click.option(f"--{many}", required=True, multiple=True, type=FILE, help="Parquet of each cell; several.")
            function = several(function)
        function = click.option("--labels", required=True, type=FromJson(Labels), help="Titles and scale, JSON.")(function)
        written = "Written in the format of its suffix; several."
        output = click.option("--output", "outputs", cls=_Outputs, required=True, multiple=True, type=FILE, help=written)
        return click.command(cls=Command)(output(function))

    return decorate


def read_rows(files: Iterable[Path]) -> pd.DataFrame:
    """The rows of several tables of the same columns, one after the other; raises as `read_table`."""
    return pa.concat_tables([read_table(file) for file in files]).to_pandas()


def made_of(labels: Labels, tables: Iterable[Path], **settings: Any) -> Provenance:
    """Provenance of a table or page that is made of others."""
    return made_by({"scale": labels.scale, **settings}, inputs=read_provenances(tables))
