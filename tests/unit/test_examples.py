"""IDX files and the examples in them: what is read is right, and what is wrong is one line that names the file."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from advtrain.data.examples import Examples, load_examples
from advtrain.data.idx import IMAGES_MAGIC, LABELS_MAGIC, read_idx, write_idx
from advtrain.system.errors import InputError


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two images, and their labels."""
    pixels = np.zeros((2, 28, 28), np.uint8)
    pixels[1, 27, 0] = 255
    write_idx(tmp_path / "images", pixels)
    write_idx(tmp_path / "labels", np.array([7, 9]))
    return tmp_path / "images", tmp_path / "labels"


def test_images_come_out_as_float32_in_the_unit_box_with_their_labels(files: tuple[Path, Path]) -> None:
    data = load_examples(*files)
    assert data.x.shape == (2, 1, 28, 28)
    assert data.x.dtype == torch.float32
    assert data.x[1, 0, 27, 0] == data.x.sum() == 1.0
    assert data.y.tolist() == [7, 9]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda content: content[:-1], "1583 .* 1584"),
        (lambda content: content + b"\0", "1585 .* 1584"),
        (lambda content: content[:3], "3 "),
        (lambda content: struct.pack(">IIII", IMAGES_MAGIC, 2**32 - 1, 28, 28), "16 .* 3367254359296"),
        (lambda content: struct.pack(">II", LABELS_MAGIC, 8) + bytes(8), f"{LABELS_MAGIC}.* {IMAGES_MAGIC}"),
    ],
)
def test_a_file_that_is_wrong_is_refused(files: tuple[Path, Path], spoil: Callable[[bytes], bytes], named: str) -> None:
    images, _ = files
    images.write_bytes(spoil(images.read_bytes()))
    with pytest.raises(InputError, match=f"{images}.* {named}"):
        read_idx(images, IMAGES_MAGIC)


@pytest.mark.parametrize("special", ["/dev/zero", "/proc/self/mem", "folder", "pipe", "nothing", "link to itself", "labels/x"])
def test_what_is_no_file_or_cannot_be_read_is_named_and_not_waited_for(special: str, files: tuple[Path, Path]) -> None:
    """/proc/self/mem is a regular file by its kind whose first byte cannot be read."""
    folder = files[0].parent
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link to itself").symlink_to("link to itself")
    with pytest.raises(InputError, match=f"{special}: "):
        read_idx(folder / special, IMAGES_MAGIC)


def test_a_file_longer_than_the_memory_is_named(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "fromfile", no_memory)
    with pytest.raises(InputError, match=f"{files[0]}: 1584 bytes"):
        read_idx(files[0], IMAGES_MAGIC)


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (torch.full((2, 1, 28, 28), 255.0), torch.zeros(2).long(), r"images .*\[255, 255\]"),
        (torch.full((2, 1, 28, 28), -0.1), torch.zeros(2).long(), r"images .*\[-0.1, -0.1\]"),
        (torch.full((2, 1, 28, 28), torch.nan), torch.zeros(2).long(), r"images .*\[nan, nan\]"),
        (torch.zeros(2, 28, 28), torch.zeros(2).long(), r"images .*\[2, 28, 28\]"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2).long(), "torch.uint8"),
        (torch.zeros(2, 1, 28, 28), torch.zeros(3).long(), r"labels .*\[3\]"),
        (torch.zeros(2, 1, 28, 28), torch.tensor([0, 10]), r"labels .*0\.\.10"),
        (torch.zeros(0, 1, 28, 28), torch.zeros(0).long(), "no images"),
    ],
)
def test_examples_that_the_attacks_could_not_trust_are_refused(x: Tensor, y: Tensor, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Examples(x, y)


def test_files_that_do_not_belong_together_are_both_named(files: tuple[Path, Path]) -> None:
    write_idx(files[1], np.zeros(3))
    with pytest.raises(InputError, match=rf"{files[0]} and {files[1]}: .*\[3\]"):
        load_examples(*files)


def test_a_subset_is_fixed_by_its_seed_has_no_image_twice_and_begins_as_a_larger_one(examples: Examples) -> None:
    first, again, other, everything = (examples.subset(n, seed) for n, seed in ((40, 0), (40, 0), (40, 1), (96, 0)))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
    assert len({x.numpy().tobytes() for x in first.x}) == 40
    assert torch.equal(first.x, everything.x[:40])
    assert torch.equal(first.y, everything.y[:40])
    with pytest.raises(InputError, match=r"97 .* 96"):
        examples.subset(97, seed=0)
