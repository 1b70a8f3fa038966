"""The file format of MNIST and its like: IDX, read and written with checks. Needs no torch, so that a download starts fast."""

import hashlib
from pathlib import Path

import numpy as np

from advtrain.errors import InputError

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IMAGES_MAGIC = 2051
LABELS_MAGIC = 2049
IMAGE_SHAPE = (28, 28)


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes: a big-endian magic number, the dimensions, the bytes.

    Args:
        path: the uncompressed file.
        magic: 2051 for images [n, 28, 28], 2049 for labels [n]; its last byte is the number of dimensions.

    Raises:
        InputError: the file is missing, has another magic number or image size, or is not as long as its header says.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    dimensions = magic % 256
    header_bytes = 4 * (1 + dimensions)
    if len(content) < header_bytes:
        raise InputError(f"{path}: {len(content)} bytes, too short for an IDX header of {header_bytes}")
    found, *shape = (int(number) for number in np.frombuffer(content, ">u4", 1 + dimensions))
    if found != magic:
        raise InputError(f"{path}: magic number is {found}, expected {magic}")
    if tuple(shape[1:]) not in ((), IMAGE_SHAPE):
        raise InputError(f"{path}: images are {'x'.join(map(str, shape[1:]))}, expected 28x28")
    expected = header_bytes + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise InputError(f"{path}: {len(content)} bytes, expected {expected} by its header; the file is damaged")
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape).copy()


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes, [n, 28, 28] images or [n] labels, as an IDX file."""
    magic = IMAGES_MAGIC if array.ndim == 3 else LABELS_MAGIC
    path.write_bytes(np.array([magic, *array.shape], ">u4").tobytes() + array.astype(np.uint8).tobytes())


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
