"""What the scripts of tables and figures share: reading tables, and writing a table with its pages."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
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
class Report:
    """The files that a rule wants, each written in the format of its suffix, and what they are made of."""

    labels: Labels
    files: tuple[Path, ...]
    inputs: Mapping[str, Provenance]

    @property
    def device(self) -> str:
        """What computed the first of the tables that were computed on a device."""
        return next(str(made.record["device"]) for made in self.inputs.values() if "device" in made.record)

    def about(self, names: Container[str]) -> "Report":
        """The same about these defenses alone."""
        return replace(self, labels=self.labels.only(names))

    def of(self, *suffixes: str) -> list[Path]:
        """The files with one of some suffixes."""
        return [file for file in self.files if file.suffix in suffixes]

    def write_table(self, table: pd.DataFrame | pa.Table, **settings: Any) -> None:
        """Write a table as .parquet and .csv; a data frame without its index. The settings are for its provenance."""
        arrow = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
        for file in self.of(".parquet"):
            made = made_by({"scale": self.labels.scale, **settings}, inputs=self.inputs)
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


def read_rows(files: Iterable[Path]) -> pd.DataFrame:
    """The rows of several tables of the same columns, one after the other; raises as `read_table`."""
    tables = [read_table(file) for file in files]
    return pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame()


def report_command(
    *tables: str, **many: Callable[[Sequence[Path]], pd.DataFrame]
) -> Callable[[Callable[..., None]], click.Command]:
    """A click command that makes tables or figures of result tables, with --labels and --output.

    Its function gets `report`, its other options, and the rows of each table by the name of its option: `tables` name options
    that take one table each, `many` those that take tables of many cells, given several times, and the function that makes them
    one, such as `read_rows`.
    """
    written = "Written in the format of its suffix; several."
    shared: list[click.Parameter] = [
        click.Option(["--output"], required=True, multiple=True, type=FILE, help=written),
        click.Option(["--labels"], required=True, type=FromJson(Labels), help="Titles and scale, JSON."),
        *(click.Option([f"--{name}"], required=True, type=FILE, help="Parquet of an earlier rule.") for name in tables),
    ]
    of_cells = "Parquet of each cell; several."
    shared += [click.Option([f"--{name}"], multiple=True, type=FILE, help=of_cells) for name in many]

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(labels: Labels, output: tuple[Path, ...], **options: Any) -> None:
            single = {name: options[name] for name in (name.replace("-", "_") for name in tables)}
            rows = {name: read_rows([file]) for name, file in single.items()}
            rows |= {name: read(options[name]) for name, read in many.items()}
            inputs = read_provenances([*(file for name in many for file in options[name]), *single.values()])
            function(**{**options, **rows}, report=Report(labels, output, inputs))

        return click.command(cls=Command, params=shared)(run)

    return decorate


lengths = click.option(
    "--epochs", required=True, type=FromJson(dict[str, int]), help="Length of each training, by classifier; JSON."
)
"""An option of those that compare whole trainings."""
