"""Result tables: Parquet files that are whole or absent, and that tell how they were made.

Tables are Arrow's here, so that a job that computes does not wait a second for pandas to load.
"""

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from advtrain.errors import InputError
from advtrain.files import write_atomically

PROVENANCE_KEY = b"provenance"
VERSIONS_OF = ("torch", "numpy", "pandas", "pyarrow")

EVALUATION_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("defense", pa.string()),
        ("seed", pa.int64()),
        ("attack", pa.string()),
        ("loss", pa.string()),
        ("epsilon", pa.float64()),
        ("step_size", pa.float64()),
        ("iterations", pa.int64()),
        ("iterate", pa.int64()),
        ("restarts", pa.int64()),
        ("examples", pa.int64()),
        ("correct", pa.int64()),
        ("accuracy", pa.float64()),
    ]
)
"""Columns of the evaluation table, one row a figure: `correct` of `examples` were right after iterate `iterate`."""


def evaluation_table(rows: list[dict[str, Any]]) -> pa.Table:
    """The evaluation table of some rows, with its columns in order and of their types."""
    return pa.Table.from_pylist(rows, schema=EVALUATION_SCHEMA)


def provenance(config: dict[str, Any], device: str | None = None, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """What made a result: the slice of the configuration, the commit, the versions, the device, and the inputs' own provenance.

    No time and no path is in it, so that equal runs give equal files.

    Args:
        config: all settings that the result depends on, seeds included.
        device: the name of the device, where one computed.
        inputs: provenance of the results that this one was made of, by name.
    """
    made: dict[str, Any] = {"config": config, "commit": _commit(), "versions": _versions()}
    if device is not None:
        import torch

        made |= {"device": device, "cuda": torch.version.cuda}
    if inputs is not None:
        made["inputs"] = inputs
    return made


def write_table(table: pa.Table, path: Path, made: dict[str, Any]) -> None:
    """Write a table as Parquet with its provenance in the file's metadata, in one step.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    metadata = {**(table.schema.metadata or {}), PROVENANCE_KEY: json.dumps(made, sort_keys=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    write_atomically(path, lambda file: file.write(sink.getvalue()))


def read_table(path: Path) -> pa.Table:
    """Read a table that `write_table` wrote.

    Raises:
        InputError: the file is missing or is no Parquet file.
    """
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from None


def read_provenance(path: Path) -> dict[str, Any]:
    """Provenance of a table that `write_table` wrote; raises as `read_table`."""
    made: dict[str, Any] = json.loads((read_table(path).schema.metadata or {}).get(PROVENANCE_KEY, b"{}"))
    return made


def _commit() -> str:
    """The commit of this checkout, marked where tracked files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
