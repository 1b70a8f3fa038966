"""Collect all evaluations of a cell in one table."""

from pathlib import Path

import click
import pandas as pd

from advtrain.results import EVALUATION_TYPES, provenance, read_provenance, read_table, write_table
from command import FILE, Command


@click.command(cls=Command)
@click.argument("tables", nargs=-1, required=True, type=FILE)
@click.option("--output", required=True, type=FILE, help="Output: all rows, Parquet.")
def main(tables: tuple[Path, ...], output: Path) -> None:
    """Collect evaluation TABLES in one."""
    rows = pd.concat([read_table(table) for table in tables], ignore_index=True)
    keys = [column for column in EVALUATION_TYPES if column not in ("correct", "accuracy")]
    rows = rows.sort_values(keys, ignore_index=True)
    write_table(rows, output, provenance({}, inputs={table.stem: read_provenance(table) for table in tables}))


if __name__ == "__main__":
    main()
