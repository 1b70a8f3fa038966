"""Checkpoints: states of a running training, and trained models, as files of tensors and plain values that run no code."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from advtrain.defenses import source_file
from advtrain.errors import InputError, is_out_of_memory
from advtrain.files import write_atomically

LIBRARY = Path(__file__).parent
DIGEST_BYTES = 64
SCIENCE = (
    "accuracy.py",
    "attacks.py",
    "captured.py",
    "datasets.py",
    "ensemble.py",
    "frozen.py",
    "idx.py",
    "networks.py",
    "training.py",
    "defenses/__init__.py",
)
"""The library's files that decide what every training computes; the same as the rule's inputs."""


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of such to `path` in one step.

    The file is one of `torch.save`, a zip archive, whose comment is the SHA-256 of all before it: `torch.load` looks at no
    checksum, and can read it.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    archive = buffer.getbuffer()
    archive[-2:] = DIGEST_BYTES.to_bytes(2, "little")
    digest = hashlib.sha256(archive).hexdigest().encode()
    write_atomically(path, lambda file: file.writelines((archive, digest)))


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, tensors on the CPU.

    Raises:
        InputError: the file is damaged, or holds anything but tensors and plain values.
        OSError: it cannot be read.
    """
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    archive, digest = memoryview(sealed)[:-DIGEST_BYTES], sealed[-DIGEST_BYTES:]
    if hashlib.sha256(archive).hexdigest().encode() != digest:
        raise InputError(f"{path}: damaged, or of an earlier version: its SHA-256 is not at its end; delete it")
    try:
        content = torch.load(io.BytesIO(sealed), map_location="cpu", weights_only=True)
    except Exception as error:  # a file that somebody made up can make the unpickler raise anything
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a file of tensors ({reason}); delete it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dictionary; delete it")
    return content


def load_if_same(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state in the checkpoint at `path` if there is one.

    Args:
        path: the checkpoint.
        identity: what the state belongs to: configuration, data and code, as plain values.

    Raises:
        InputError: the checkpoint is damaged or belongs to another identity; the message names what differs.
    """
    if not path.exists():
        return None
    content = load(path)
    found, state = content.get("identity"), content.get("state")
    if not (isinstance(found, dict) and isinstance(state, dict)):
        raise InputError(f"{path}: not a checkpoint of this version; delete it to start afresh")
    differing = sorted(key for key in found.keys() | identity.keys() if found.get(key) != identity.get(key))
    if differing:
        differences = "; ".join(f"{key} was {found.get(key)!r}, is {identity.get(key)!r}" for key in differing)
        raise InputError(f"{path}: checkpoint of another configuration ({differences}); delete it to start afresh")
    return state


def save_state(path: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a state with what it belongs to, for `load_if_same`."""
    save(path, {"identity": dict(identity), "state": dict(state)})


def code_digest(method: str) -> str:
    """SHA-256 of the source files that decide what a training with the defense `method` computes.

    Raises:
        InputError: there is no such defense.
    """
    return library_digest(*SCIENCE, source_file(method).relative_to(LIBRARY))


def library_digest(*files: str | Path) -> str:
    """SHA-256 of the bytes of some of the library's source files, in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update((LIBRARY / file).read_bytes())
    return digest.hexdigest()


def tensor_digest(*tensors: torch.Tensor) -> str:
    """SHA-256 of the bytes of some tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
