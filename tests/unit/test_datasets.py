from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advtrain.data.examples import Examples, load_examples
from advtrain.system.errors import InputError
from advtrain.data.idx import IMAGES_MAGIC, LABELS_MAGIC, read_idx, write_idx
from synthetic import write_synthetic_dataset

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_synthetic_dataset(tmp_path, seed=0)
    return tmp_path


def test_images_come_out_as_float32_in_the_unit_box_with_their_labels(tmp_path: Path) -> None:
    pixels = np.zeros((2, 28, 28), np.uint8)
    pixels[1, 27, 0] = 255
    write_idx(tmp_path / IMAGES, pixels)
    write_idx(tmp_path / LABELS, np.array([7, 9]))
    data = load_examples(tmp_path / IMAGES, tmp_path / LABELS)
    assert data.x.shape == (2, 1, 28, 28)
    assert data.x.dtype == torch.float32
    assert data.x[1, 0, 27, 0] == 1.0
    assert data.x.sum() == 1.0
    assert data.y.tolist() == [7, 9]


@given(array=st.integers(0, 50).map(lambda n: np.random.default_rng(n).integers(0, 256, (n, 28, 28))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_idx_files_read_back_as_written(array: np.ndarray, tmp_path: Path) -> None:
    write_idx(tmp_path / "images", array)
    assert (read_idx(tmp_path / "images", IMAGES_MAGIC) == array).all()


def test_a_truncated_file_is_refused_with_both_lengths(folder: Path) -> None:
    content = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"{IMAGES}: {len(content) - 1} bytes, expected {len(content)}"):
        load_examples(folder / IMAGES, folder / LABELS)


def test_a_file_shorter_than_its_header_is_refused(folder: Path) -> None:
    (folder / IMAGES).write_bytes(b"\0\0\x08")
    with pytest.raises(InputError, match="too short for an IDX header"):
        load_examples(folder / IMAGES, folder / LABELS)


def test_a_header_that_promises_gigabytes_is_refused_before_any_is_allocated(folder: Path) -> None:
    header = np.array([IMAGES_MAGIC, 2**32 - 1, 28, 28], ">u4").tobytes()
    (folder / IMAGES).write_bytes(header)
    with pytest.raises(InputError, match="16 bytes, expected 3367254359296"):
        load_examples(folder / IMAGES, folder / LABELS)


def test_a_wrong_magic_number_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=f"magic number is {LABELS_MAGIC}, expected {IMAGES_MAGIC}"):
        read_idx(folder / LABELS, IMAGES_MAGIC)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / IMAGES, np.zeros((2, 32, 32)))
    with pytest.raises(InputError, match="images are 32x32, expected 28x28"):
        read_idx(tmp_path / IMAGES, IMAGES_MAGIC)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{IMAGES}: no such file"):
        load_examples(tmp_path / IMAGES, tmp_path / LABELS)


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (torch.full((2, 1, 28, 28), 255.0), torch.zeros(2, dtype=torch.int64), r"images lie in \[255, 255\]"),
        (torch.full((2, 1, 28, 28), -0.1), torch.zeros(2, dtype=torch.int64), r"expected \[0, 1\]"),
        (torch.full((2, 1, 28, 28), torch.nan), torch.zeros(2, dtype=torch.int64), r"images lie in \[nan, nan\]"),
        (torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.int64), r"images are \[2, 28, 28\]"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "torch.uint8"),
        (torch.zeros(2, 1, 28, 28), torch.zeros(3, dtype=torch.int64), r"labels are \[3\]"),
        (torch.zeros(2, 1, 28, 28), torch.tensor([0, 10]), "labels lie in 0..10"),
        (torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64), "no images"),
    ],
)
def test_examples_that_the_attacks_could_not_trust_are_refused(x: torch.Tensor, y: torch.Tensor, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Examples(x, y)


def test_a_subset_is_fixed_by_its_seed_and_has_no_image_twice(examples: Examples) -> None:
    first, again, other = (examples.subset(40, seed) for seed in (0, 0, 1))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
    assert len({x.numpy().tobytes() for x in first.x}) == 40


def test_a_smaller_subset_is_the_beginning_of_a_larger_one(examples: Examples) -> None:
    everything = examples.subset(len(examples), seed=3)
    assert torch.equal(examples.subset(40, seed=3).x, everything.x[:40])
    assert torch.equal(examples.subset(40, seed=3).y, everything.y[:40])


def test_more_examples_than_there_are_is_refused(examples: Examples) -> None:
    with pytest.raises(InputError, match="97 examples were asked for, but the data set has 96"):
        examples.subset(97, seed=0)
