"""The file format of MNIST and its like: IDX, read and written with checks. Needs no torch, so that a download starts fast."""

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np

from advtrain.system.errors import InputError

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
"""The last byte is the number of dimensions."""
IMAGE_SHAPE = (28, 28)


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Read an uncompressed IDX file, images [n, 28, 28] or labels [n]: a magic number, the dimensions, the bytes.

    The file's size is checked against its header before anything is read, so a damaged header cannot ask for too much memory.
    InputError where the file is missing, cannot be read, has another magic number or image size, is not as long as its header
    says, or does not fit into memory.
    """
    header_bytes = 4 * (1 + magic % 256)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: not a regular file")  # a pipe or a device may never end
        with path.open("rb") as file:
            size, header = os.fstat(file.fileno()).st_size, file.read(header_bytes)
            if len(header) < header_bytes:
                raise InputError(f"{path}: {size} bytes, too short for an IDX header of {header_bytes}")
            found, *shape = struct.unpack(f">{header_bytes // 4}I", header)
            if found != magic:
                raise InputError(f"{path}: magic number is {found}, expected {magic}")
            if tuple(shape[1:]) not in ((), IMAGE_SHAPE):
                raise InputError(f"{path}: images are {'x'.join(map(str, shape[1:]))}, expected 28x28")
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
    """Write bytes, [n, 28, 28] images or [n] labels, as an IDX file."""
    magic = IMAGES_MAGIC if array.ndim == 3 else LABELS_MAGIC
    path.write_bytes(np.array([magic, *array.shape], ">u4").tobytes() + array.astype(np.uint8).tobytes())


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
