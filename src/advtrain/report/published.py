"""What is published of a run: its small result files as they are, and a page that says what made them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from advtrain.results.atomic import write_atomically
from advtrain.results.provenance import Provenance
from advtrain.system.errors import InputError

LARGEST = 1_000_000
"""Bytes; a repository of code is no place for more."""


def copy(path: Path, to: Path) -> None:
    """Copy a file in one step; raises InputError if it has more than `LARGEST` bytes."""
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise InputError(f"{path}: {len(content):,} bytes are more than the {LARGEST:,} that a published file may have")
    write_atomically(to, lambda file: file.write(content))


def about_page(provenances: Iterable[Provenance], config: Mapping[str, Any], command: str) -> str:
    """The page for published files, Markdown: `command`, commits, devices and versions of their tables, and the settings."""
    records = [record for made in provenances for record in made.records()]

    def all_of(key: str) -> list[str]:
        return sorted({str(record[key]) for record in records if key in record})

    made = {
        "command": command,
        "commits": all_of("commit"),
        "devices": all_of("device"),
        "cuda": all_of("cuda"),
        "threads": all_of("threads"),
        "versions": sorted({", ".join(map(" ".join, record["versions"].items())) for record in records}),
    }
    datasets = {
        name: {key: value for key, value in entry.items() if key != "sha256"} for name, entry in config["datasets"].items()
    }
    return (
        "# What made these files\n\n"
        "Every file in this folder was copied here by the command below. A commit with -dirty had changes that are not in it.\n"
        "There are several commits where a result did not depend on what changed between them.\n\n"
        f"```yaml\n{_yaml(made)}```\n\n"
        f"The configuration of the run:\n\n```yaml\n{_yaml({**config, 'datasets': datasets})}```\n"
    )


def _yaml(content: Mapping[str, Any]) -> str:
    """YAML with lists of plain values on one line, or on several of about 120 characters."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return text
