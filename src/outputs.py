"""What the scripts of tables and figures share: options, reading the tables of many cells, writing a table with its page."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa

from advtrain.files import write_text
from advtrain.pages import Section, to_html, to_markdown
from advtrain.results import read_table, write_table
from command import FILE, Json

evaluations_argument = click.argument("evaluations", nargs=-1, required=True, type=FILE)
datasets_option = click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
defenses_option = click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
scale_option = click.option("--scale", required=True, help="How the classifiers were trained, in words.")
figures_option = click.option(
    "--figure", "figures", required=True, multiple=True, type=FILE, help="Output: .svg, .pdf or .png; several."
)

OPTIONS = (
    click.option("--parquet", required=True, type=FILE, help="Output: the table, Parquet."),
    click.option("--md", required=True, type=FILE, help="Output: the table as people read it, Markdown."),
    click.option("--html", required=True, type=FILE, help="Output: the same as a page."),
)


@dataclass(frozen=True)
class Outputs:
    """The files that `OPTIONS` name."""

    parquet: Path
    md: Path
    html: Path

    def write(
        self, table: pd.DataFrame, made: dict[str, Any], title: str, sections: Sequence[Section], *, titled: bool = False
    ) -> None:
        """Write a table, and its page twice.

        Args:
            table: the table.
            made: its provenance.
            title: the page's title.
            sections: what is on the page.
            titled: whether the Markdown has the title too; where another page takes it in, it has none.
        """
        write_rows(table, self.parquet, made)
        write_text(self.md, to_markdown(title if titled else "", sections))
        write_text(self.html, to_html(title, sections))


def outputs_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a click command the options of a table and its page, as its first argument `outputs`."""

    @functools.wraps(function)
    def bundled(**options: Any) -> None:  # noqa: ANN401
        function(Outputs(**{field.name: options.pop(field.name) for field in fields(Outputs)}), **options)

    for option in reversed(OPTIONS):
        bundled = option(bundled)
    return bundled


def read_rows(files: Iterable[Path]) -> pd.DataFrame:
    """The rows of several tables of the same columns, one after the other; raises as `results.read_table`."""
    return pa.concat_tables([read_table(file) for file in files]).to_pandas()


def write_rows(table: pd.DataFrame, file: Path, made: dict[str, Any]) -> None:
    """Write a data frame without its index; as `results.write_table`."""
    write_table(pa.Table.from_pandas(table, preserve_index=False), file, made)
