"""What made a result: settings, commit, versions, device and threads, and the same of all that it was made of.

A record is about one file. What a file was made of is kept once, by the digest of its record, however often it was used on the
way. No time and no path is in it, so equal runs give equal files.
"""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

Record = dict[str, Any]

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "scipy", "pyautoattack")
VERSIONS = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
SHORTENED = re.compile(r"(\w{10})\w+")
"""A commit's digits; a "-dirty" behind them stays."""


@dataclass(frozen=True)
class Provenance:
    """The record of a result, and the records of everything that it was made of."""

    record: Record
    """`settings`, `commit`, `versions`; `device` where one computed; `inputs`, the digests of other records, by name."""
    others: Mapping[str, Record]
    """By digest."""

    @property
    def digest(self) -> str:
        """Name of the record."""
        return hashlib.sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()[:16]

    def records(self) -> list[Record]:
        """The record and all others."""
        return [self.record, *self.others.values()]

    def content(self) -> dict[str, Any]:
        """As a file stores it: plain values."""
        return {"record": self.record, "others": dict(self.others)}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "Provenance":
        """Take back what `content` gave."""
        return cls(content.get("record", {}), content.get("others", {}))


def made_by(
    settings: Mapping[str, Any],
    *,
    numerics: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Provenance] | None = None,
) -> Provenance:
    """Provenance of a result that is being made with all `settings` that it depends on, seeds included.

    `numerics` are those of `system.device`, where something was computed; `inputs` the results that it is made of, by name.
    """
    inputs = inputs or {}
    record: Record = {"settings": dict(settings), "commit": COMMIT, "versions": VERSIONS, **(numerics or {})}
    others: dict[str, Record] = {}
    for made in inputs.values():
        others |= {made.digest: made.record, **made.others}
    if inputs:
        record["inputs"] = {name: made.digest for name, made in inputs.items()}
    return Provenance(record, dict(sorted(others.items())))


def provenance_line(scale: str, provenances: Iterable[Provenance]) -> str:
    """What a figure says of its tables, such as "small_cnn, 60,000 images, 1 seed; cpu AMD EPYC; commit 0123456789".

    `scale` is how the classifiers were trained, in words. The commit that draws the figure is left out.
    """
    records = [record for made in provenances for record in made.records()]
    devices = sorted({record["device"] for record in records if "device" in record})
    commits = sorted({SHORTENED.sub(r"\1", record["commit"]) for record in records if "commit" in record})
    return "; ".join([scale, *devices, f"commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"])


def _commit() -> str:
    """The commit of this checkout, marked where tracked files differ from it or src has others; docs and README make no result.

    Unknown without a repository of its own: that in which a copy of the source lies has other commits. Who owns it does not
    matter, as in a container: git is only asked, about code that runs already.
    """
    root = Path(__file__).parents[3]
    git = ["git", "-c", "safe.directory=*", "-C", str(root)]
    edited = ["status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)docs", ":(top,exclude)README.md"]
    added = ["ls-files", "--others", "--exclude-standard", "--", ":(top)src"]
    try:
        top, commit, *changed = (
            subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (["rev-parse", "--show-toplevel"], ["rev-parse", "HEAD"], edited, added)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    if not root.samefile(top):
        return "unknown"
    return f"{commit}-dirty" if any(changed) else commit


COMMIT = _commit()
"""Read when the process starts, as its code is: whoever commits or edits while a training runs does not change what made it."""
