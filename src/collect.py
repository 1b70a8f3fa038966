"""Collect all evaluations of a cell in one table."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.results.parquet import read_provenance, read_table, write_table
from advtrain.results.provenance import made_by
from cli.command import FILE, Command


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@click.option("--output", required=True, type=FILE, help="Output: all rows, Parquet.")
def main(tables: tuple[Path, ...], output: Path) -> None:
    """Collect evaluation TABLES in one."""
    rows = pa.concat_tables([read_table(table).replace_schema_metadata() for table in tables])
    rows = rows.sort_by([(key, "ascending") for key in ("seed", "attack", "iterations", "iterate")])
    write_table(rows, output, made_by({}, inputs={table.stem: read_provenance(table) for table in tables}))


if __name__ == "__main__":
    main()
