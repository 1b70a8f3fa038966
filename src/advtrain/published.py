"""What is published of a run: its small result files as they are, and a page that tells what made them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from advtrain.errors import InputError
from advtrain.files import write_atomically
from advtrain.origin import with_inputs
from advtrain.pages import Section

LARGEST = 1_000_000
"""Bytes; a repository of code is no place for more."""


def copy(path: Path, to: Path) -> None:
    """Copy a file that is small enough to be published, in one step.

    Raises:
        InputError: it has more than `LARGEST` bytes.
        OSError: it cannot be read, or the folder cannot be written.
    """
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise InputError(f"{path}: {len(content):,} bytes are more than the {LARGEST:,} that a published file may have")
    write_atomically(to, lambda file: file.write(content))


def made_by(provenances: Mapping[str, Any], config: Mapping[str, Any], command: str) -> list[Section]:
    """The page that stands beside published files: command, settings, commits, devices and versions.

    Args:
        provenances: of the published tables, by name, with those of their inputs.
        config: the configuration of the run.
        command: what made the files.
    """
    every = list(with_inputs(provenances.values()))
    found = {
        "Command": [command],
        "Commit": sorted({made["commit"] for made in every}),
        "Device": sorted({made["device"] for made in every if "device" in made}),
        "CUDA": sorted({str(made["cuda"]) for made in every if "cuda" in made}),
        "Versions": sorted({", ".join(f"{name} {number}" for name, number in made["versions"].items()) for made in every}),
        **{key: [json.dumps(value)] for key, value in _leaves(config)},
    }
    rows = pd.DataFrame({"": list(found), " ": ["; ".join(values) for values in found.values()]})
    note = (
        "Every file beside this page was copied here by that command. A commit with -dirty had changes that are not in it; "
        "several commits have come to be where a result did not depend on what changed between them."
    )
    return [Section("", note, table=rows, index=False)]


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a configuration with their full names; hashes of data left out."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.") if key != "sha256" else ()
        else:
            yield f"{prefix}{key}", value
