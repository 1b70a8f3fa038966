"""Result tables: Parquet files that are whole or absent, and that tell how they were made.

Tables are Arrow's here, and read and built in ways that leave pandas alone, so that a job that computes does not wait for it to
load: `pq.read_table` and `pa.array` load it where it is installed.
"""

import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from advtrain.errors import InputError
from advtrain.files import write_atomically

Row = dict[str, Any]

PROVENANCE_KEY = b"provenance"
VERSIONS_OF = ("torch", "numpy", "pandas", "pyarrow", "scipy", "pyautoattack")

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
        ("outcomes", pa.binary()),
    ]
)
"""Columns of the evaluation table, one row a figure: `correct` of `examples` were right after iterate `iterate`.

`outcomes` tells which: a bit for each example, in the order that the configuration's `subset_seed` draws, so that rows can be
compared example by example (`unpack_outcomes`). A row over fewer examples is about the first of them.
"""


def evaluation_row(
    attack: str,
    right: NDArray[np.bool_],
    *,
    epsilon: float,
    step_size: float | None,
    iterations: int,
    iterate: int | None = None,
    loss: str = "cross_entropy",
    restarts: int = 1,
) -> Row:
    """One row of the evaluation table, without data set, defense and seed.

    Args:
        attack: its name.
        right: whether each example was right under it, [n].
        epsilon: radius of the budget.
        step_size: length of a step; None where the attack chooses it itself.
        iterations: its steps.
        iterate: the iterate that was looked at; the last one if None.
        loss: what it ascends.
        restarts: how often it started; 1 from the clean image or from one random start.
    """
    return {
        "attack": attack,
        "loss": loss,
        "epsilon": epsilon,
        "step_size": step_size,
        "iterations": iterations,
        "iterate": iterations if iterate is None else iterate,
        "restarts": restarts,
        "examples": len(right),
        "correct": int(right.sum()),
        "accuracy": int(right.sum()) / len(right),
        "outcomes": np.packbits(right).tobytes(),
    }


def unpack_outcomes(outcomes: bytes, examples: int) -> NDArray[np.bool_]:
    """Whether each of `examples` was right, [n], from a row's `outcomes`."""
    return np.unpackbits(np.frombuffer(outcomes, dtype=np.uint8), count=examples).astype(bool)


def evaluation_table(rows: list[Row]) -> pa.Table:
    """The evaluation table of some rows, with its columns in order and of their types."""
    return table_of(rows, EVALUATION_SCHEMA)


def table_of(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """A table of some rows: `pa.Table.from_pylist` for integers, floats, strings and bytes, without pandas.

    Raises:
        KeyError: a row lacks a column.
        TypeError: a value is not of its column's type.
    """
    if not rows:
        return schema.empty_table()
    return pa.Table.from_arrays([_array([row[field.name] for row in rows], field.type) for field in schema], schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of values, None where there is none, from the buffers that Arrow's format has for the type."""
    valid = np.packbits(np.array([value is not None for value in values]), bitorder="little")
    if kind in (pa.string(), pa.binary()):
        encoded = [value.encode() if isinstance(value, str) else b"" if value is None else value for value in values]
        buffers = [np.cumsum([0, *map(len, encoded)], dtype=np.int32), b"".join(encoded)]
    else:
        numbers = np.array([0 if value is None else value for value in values])
        buffers = [numbers.astype(kind.to_pandas_dtype(), casting="safe")]
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(buffer) for buffer in (valid, *buffers)])


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
    """Write a table as Parquet with its provenance in the file's metadata and a checksum of each page, in one step.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    metadata = {**(table.schema.metadata or {}), PROVENANCE_KEY: json.dumps(made, sort_keys=True)}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, write_page_checksum=True)
    write_atomically(path, lambda file: file.write(sink.getvalue()))


def read_table(path: Path) -> pa.Table:
    """Read a table that `write_table` wrote.

    The values are held to the checksums of their pages. The file's end has none: names, types and provenance are there, and a
    change that leaves them readable is not found.

    Raises:
        InputError: the file is missing, is no Parquet file or a damaged one.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a regular file")  # a pipe may never end
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        table.validate(full=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file, or a damaged one ({error})") from None
    return table


def read_provenance(path: Path) -> dict[str, Any]:
    """Provenance of a table that `write_table` wrote.

    Raises:
        InputError: as `read_table`, or its provenance is no JSON object.
    """
    text = (read_table(path).schema.metadata or {}).get(PROVENANCE_KEY, b"{}")
    try:
        made = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its provenance is damaged ({error})") from None
    if not isinstance(made, dict):
        raise InputError(f"{path}: its provenance is no JSON object")
    return made


def read_provenances(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Provenance of several tables, by the ends of their paths such as mnist/proposed; raises as `read_table`."""
    return {"/".join(path.with_suffix("").parts[-2:]): read_provenance(path) for path in paths}


def _commit() -> str:
    """The commit of this checkout, marked where tracked files differ from it; pages and what is published make no result."""
    git = ["git", "-C", str(Path(__file__).parent)]
    changes = ["status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)docs", ":(top,exclude)README.md"]
    try:
        commit, changed = (
            subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
