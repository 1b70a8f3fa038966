"""Result tables: Parquet files that are whole or absent, and that say how they were made."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from advtrain.results.atomic import write_atomically
from advtrain.results.provenance import Provenance
from advtrain.system.errors import InputError

PROVENANCE_KEY = b"provenance"


def write_table(table: pa.Table, path: Path, made: Provenance) -> None:
    """Write a table as Parquet, with its provenance as metadata and a checksum of each page; raises as `write_atomically`."""
    metadata = {**(table.schema.metadata or {}), PROVENANCE_KEY: json.dumps(made.content(), sort_keys=True)}
    sink = pa.BufferOutputStream()
    # Without Arrow's own copy of the schema, which would have the metadata a second time.
    with pq.ParquetWriter(sink, table.schema, store_schema=False, write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(metadata)
    write_atomically(path, lambda file: file.write(sink.getvalue()))


def write_rows(rows: Sequence[dict[str, Any]], schema: pa.Schema, path: Path, made: Provenance) -> None:
    """Write rows, a dictionary each, as `write_table` does."""
    write_table(pa.Table.from_pylist(list(rows), schema=schema), path, made)


def read_table(path: Path) -> pa.Table:
    """Read a table that `write_table` wrote; raises InputError if it is missing, no Parquet file or a damaged one."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file, or a damaged one ({' '.join(str(error).split())})") from None


def read_provenance(path: Path) -> Provenance:
    """Provenance of a table that `write_table` wrote; raises as `read_table`."""
    metadata = read_table(path).schema.metadata or {}
    try:
        return Provenance.from_content(json.loads(metadata.get(PROVENANCE_KEY, b"{}")))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: its provenance is damaged ({error})") from None


def read_provenances(paths: Iterable[Path]) -> dict[str, Provenance]:
    """Provenance of several tables, by the ends of their paths such as mnist/proposed; raises as `read_table`."""
    return {"/".join(path.with_suffix("").parts[-2:]): read_provenance(path) for path in paths}
