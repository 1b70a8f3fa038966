"""A user's own data set, brought as IDX files, an .npz or a class of torchvision, and written as four IDX files."""

import inspect
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advtrain.data.idx import IDX_FILES, SPLITS, check_dataset, sha256, write_idx
from advtrain.data.sources import SILENCE_SECONDS, from_folder
from advtrain.system.errors import InputError

BETWEEN_BYTES = 0.01
"""How far from a byte, in 255ths, a float may be that is one."""

Bytes = NDArray[np.uint8]


def from_npz(file: Path, folder: Path) -> None:
    """The arrays x_train, y_train, x_test and y_test of an .npz, as IDX files in a folder; raises as `write_split`."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            for prefix, split in SPLITS.items():
                write_split(folder, prefix, arrays[f"x_{split}"], arrays[f"y_{split}"])
    except KeyError as error:
        raise InputError(
            f"{file}: {' '.join(str(error.args[0]).split())}; x_train, y_train, x_test, y_test are needed"
        ) from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no such .npz of plain arrays ({str(error).partition(chr(10))[0]})") from None


def from_torchvision(name: str, folder: Path) -> None:
    """The images and labels of a class of torchvision.datasets, as IDX files in a folder.

    The class takes `train` or `split`, and gives images of one size, each with a label; InputError if not, or as `write_split`.
    """
    from torchvision import datasets  # loads torch, which takes seconds, and the other sources do not need it

    socket.setdefaulttimeout(SILENCE_SECONDS)  # torchvision sets none, and would wait for a silent server for ever
    kind: Any = getattr(datasets, name, None)
    if not callable(kind):
        raise InputError(f"torchvision.datasets has no class {name}")
    parameters = inspect.signature(kind).parameters
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty} - {"root", "train", "split"}
    if needed or not {"train", "split"} & parameters.keys() or {"train", "split"} <= parameters.keys():
        raise InputError(
            f"torchvision's {name} is made with {', '.join(parameters)}, not by train or split alone: make an .npz of it"
        )
    for prefix, split in SPLITS.items():
        part = {"train": prefix == "train"} if "train" in parameters else {"split": split}
        try:
            dataset = kind(folder / "torchvision", **part, **({"download": True} if "download" in parameters else {}))
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"torchvision's {name}: {reason}; where it cannot be had bring it as npz or folder") from error
        images, labels = [], []
        for image, label in dataset:
            images.append(np.asarray(image))
            labels.append(label)
        if len({image.shape for image in images}) != 1:
            raise InputError(f"torchvision's {name} has no images, or of several sizes")
        write_split(folder, prefix, np.stack(images), np.asarray(labels))


def write_split(folder: Path, prefix: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Write a part of a data set as IDX files.

    Args:
        folder: where they go.
        prefix: `train` or `t10k`.
        x: grey images [n, H, W], or [n, H, W, C] or [n, C, H, W] with fewer channels C than rows and columns; bytes, or floats
            in [0, 1] that are bytes by 255.
        y: labels, [n] or [n, 1], whole numbers.

    Raises:
        InputError: an array has another shape, type or range.
    """
    split = SPLITS[prefix]
    write_idx(folder / f"{prefix}-images-idx3-ubyte", _channels_first(_as_bytes(x, f"x_{split}"), f"x_{split}"))
    if y.ndim not in (1, 2) or y.size != len(y) or y.dtype.kind not in "iu":
        raise InputError(f"y_{split} is {list(y.shape)} {y.dtype}; expected whole numbers [n], the labels")
    if y.size and not (y.min() >= 0 and y.max() <= 255):
        raise InputError(f"y_{split} lies in {y.min()}..{y.max()}; expected labels from 0, at most 255")
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", y.reshape(-1))


def bring(source: Mapping[str, str], hashes: Mapping[str, str], folder: Path) -> str:
    """Put the four IDX files of a user's own data set into `folder`, each in one step, once all are right.

    Args:
        source: one of `folder`, `npz` and `torchvision`, with its path or the name of the class.
        hashes: SHA-256 of each file by its name; empty where they are not known.
        folder: where the files go.

    Returns:
        What they hold, in words.

    Raises:
        InputError: the source cannot be read, or holds something else than a data set.
    """
    ((kind, place),) = source.items()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".import-") as name:
        scratch = Path(name)
        if kind == "folder":
            from_folder(Path(place), scratch)
        elif kind == "npz":
            from_npz(Path(place), scratch)
        else:
            from_torchvision(place, scratch)
        held = check_dataset(scratch)
        for file, expected in hashes.items():
            if (found := sha256(scratch / file)) != expected:
                raise InputError(f"{file} has sha256 {found}, expected {expected}")
        for file in IDX_FILES:
            (scratch / file).replace(folder / file)
    return held


def _as_bytes(x: NDArray[Any], name: str) -> Bytes:
    """Images as bytes; floats in [0, 1] are taken for bytes by 255."""
    if x.dtype.kind not in "iuf" or x.size == 0:
        raise InputError(f"{name} is {list(x.shape)} {x.dtype}; expected images as bytes, or as floats in [0, 1]")
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 255):
        raise InputError(f"{name} lies in [{low:g}, {high:g}]; expected bytes, or floats in [0, 1], not normalised")
    if x.dtype.kind == "f":
        x = 255 * x if high <= 1 else x
        if np.abs(x - np.rint(x)).max() > BETWEEN_BYTES:
            raise InputError(f"{name} has values between bytes; expected 0 to 255, or these divided by 255")
        x = np.rint(x)
    found: Bytes = x.astype(np.uint8)
    return found


def _channels_first(x: Bytes, name: str) -> Bytes:
    """Images as [n, H, W] where they are grey, else as [n, C, H, W]."""
    if x.ndim == 3:
        return x
    if x.ndim != 4 or x.shape[1] == x.shape[3]:
        raise InputError(f"{name} is {list(x.shape)}; expected [n, H, W], [n, H, W, C] or [n, C, H, W] with few channels C")
    x = np.moveaxis(x, 3, 1) if x.shape[3] < x.shape[1] else x
    return x[:, 0] if x.shape[1] == 1 else x
