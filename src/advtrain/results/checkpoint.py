"""Checkpoints: states of a running training, and trained models, as files of tensors and plain values that run no code."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from advtrain.results.atomic import write_atomically
from advtrain.system.device import device_settings
from advtrain.system.errors import InputError, is_out_of_memory


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of such, for `load` or `torch.load`; raises as `write_atomically`."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, tensors on the CPU; raises InputError if the file is missing, damaged or holds anything else."""
    try:
        archive = io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    try:
        entries = zipfile.ZipFile(archive)  # torch.load looks at no checksum, and skips what is marked as a folder
        if damaged := entries.testzip() or next((entry.filename for entry in entries.infolist() if entry.external_attr), None):
            raise InputError(f"its entry {damaged} is wrong")
        archive.seek(0)
        content = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the unpickler raise anything
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: damaged, or not a file of tensors ({reason}); delete it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dictionary; delete it")
    return content


def identity(settings: Mapping[str, Any], code: str, *data: torch.Tensor) -> dict[str, Any]:
    """What a state belongs to: settings, the digests of code and data, the version of torch, the data's kind of device."""
    versions = {"code": code, "data": tensor_digest(*data), "torch": str(torch.__version__)}
    return {**settings, **versions, **device_settings(data[0].device)}


def load_if_same(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state in the checkpoint at `path` if there is one.

    Raises InputError if the checkpoint is damaged or of another identity; the message names what differs.
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


def tensor_digest(*tensors: torch.Tensor) -> str:
    """SHA-256 of the bytes of some tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
