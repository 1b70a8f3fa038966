"""The file format of MNIST and its like: IDX, read and written with checks. Needs no torch, so that a download starts fast."""

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np

from advtrain.system.errors import InputError

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SPLITS = {"train": "train", "t10k": "test"}
"""What IDX files call the parts of a data set, and what everyone else does."""
LABELS_MAGIC, IMAGES_MAGIC, CHANNELS_MAGIC = 2049, 2051, 2052
"""Of labels [n], grey images [n, H, W] and others [n, C, H, W]. The last byte is the number of dimensions."""


def read_idx(path: Path, *magics: int) -> np.ndarray:
    """Read an uncompressed IDX file with one of some magic numbers: it is followed by the dimensions, then the bytes.

    The file's size is checked against its header before anything is read, so a damaged header cannot ask for too much memory.
    InputError where the file is missing, cannot be read, has another magic number, holds nothing, is not as long as its header
    says, or does not fit into memory.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: not a regular file")  # a pipe or a device may never end
        with path.open("rb") as file:
            size, magic = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(4))
            if size >= 4 and magic not in magics:
                raise InputError(f"{path}: magic number is {magic}, expected {' or '.join(map(str, magics))}")
            header_bytes = 4 * (1 + (magic if size >= 4 else magics[0]) % 256)
            if size < header_bytes:
                raise InputError(f"{path}: {size} bytes, too short for an IDX header of {header_bytes}")
            shape = struct.unpack(f">{header_bytes // 4 - 1}I", file.read(header_bytes - 4))
            if 0 in shape:
                raise InputError(f"{path}: it is {'x'.join(map(str, shape))}, which is nothing")
            if size != (expected := header_bytes + math.prod(shape)):
                raise InputError(f"{path}: {size} bytes, expected {expected} by its header; the file is damaged")
            return np.fromfile(file, np.uint8).reshape(shape)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except MemoryError:
        raise InputError(f"{path}: {path.stat().st_size} bytes, more than the memory has") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes as an IDX file: images [n, H, W] or [n, C, H, W], or labels [n]."""
    magic = {1: LABELS_MAGIC, 3: IMAGES_MAGIC, 4: CHANNELS_MAGIC}[array.ndim]
    path.write_bytes(np.array([magic, *array.shape], ">u4").tobytes() + array.astype(np.uint8).tobytes())


def check_dataset(folder: Path) -> str:
    """What four IDX files hold, in words.

    Raises:
        InputError: images and labels do not go together, both parts have other sizes, labels do not start at 0, or a class has
            no image in one of them.
    """
    images = {prefix: read_idx(folder / f"{prefix}-images-idx3-ubyte", IMAGES_MAGIC, CHANNELS_MAGIC) for prefix in SPLITS}
    labels = {prefix: read_idx(folder / f"{prefix}-labels-idx1-ubyte", LABELS_MAGIC) for prefix in SPLITS}
    lowest, classes = min(int(y.min()) for y in labels.values()), max(int(y.max()) for y in labels.values()) + 1
    shapes = {prefix: "x".join(map(str, x.shape[1:])) for prefix, x in images.items()}
    if shapes["train"] != shapes["t10k"]:
        raise InputError(f"training images are {shapes['train']}, test images {shapes['t10k']}; expected one size")
    if lowest > 0:
        raise InputError(f"labels are {lowest} to {classes - 1}; they have to start at 0")
    for prefix, split in SPLITS.items():
        x, y = images[prefix], labels[prefix]
        if len(x) != len(y):
            raise InputError(f"there are {len(x)} {split} images and {len(y)} labels of them")
        if missing := sorted(set(range(classes)) - set(y.tolist())):
            several = f"classes {', '.join(map(str, missing))} have" if len(missing) > 1 else f"class {missing[0]} has"
            raise InputError(f"{several} no {split} image; labels are 0 to {classes - 1}, and each needs images")
    if classes < 2:
        raise InputError("all images are of class 0; at least two classes are needed")
    return f"{len(images['train']):,} and {len(images['t10k']):,} images of {shapes['train']} in {classes} classes"


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
