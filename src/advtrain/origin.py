"""Where a result comes from: the commits and devices of all that it was made of, from their provenances."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SHORT_COMMIT = 10
DIRTY = "-dirty"


def with_inputs(provenances: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Some provenances and those of their inputs, however deep."""
    for made in provenances:
        yield made
        yield from with_inputs(made.get("inputs", {}).values())


def in_a_line(scale: str, provenances: Mapping[str, Mapping[str, Any]]) -> str:
    """What a figure says of its tables, such as "small_cnn, 60,000 images, 1 seed; cpu AMD EPYC; commit 0123456789".

    Every table has a commit; only what was computed with torch has a device. The commit that draws the figure is left out.

    Args:
        scale: how the classifiers were trained, in words.
        provenances: of the tables that it was made of, by name.
    """
    every = list(with_inputs(provenances.values()))
    devices = sorted({made["device"] for made in every if "device" in made})
    commits = sorted({_short(made["commit"]) for made in every})
    return "; ".join([scale, *devices, f"commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"])


def _short(commit: str) -> str:
    """A commit's first digits, and whether there were changes that are not in it."""
    name = commit.removesuffix(DIRTY)
    return name[:SHORT_COMMIT] + commit[len(name) :]
