"""A user's own data set: what it may be made of, that its images come out as they were, and what is wrong as one line."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from click.testing import CliRunner
from PIL import Image

import import_data
from advtrain.data.examples import load_examples
from advtrain.data.idx import IDX_FILES, read_idx, sha256, write_idx
from advtrain.data.own import bring
from advtrain.system.errors import InputError
from synthetic import write_synthetic_dataset

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 9, 7)).astype(np.uint8)
COLOUR = RANDOM.integers(0, 256, (12, 9, 7, 3)).astype(np.uint8)
LABELS = np.arange(12) % 3

Arrays = dict[str, Any]


def npz(folder: Path, **arrays: Any) -> dict[str, str]:
    """An .npz of 12 training and 6 test images in three classes, with some arrays of it replaced."""
    right: Arrays = {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:6], "y_test": LABELS[:6]}
    np.savez(folder / "own.npz", **{name: array for name, array in (right | arrays).items() if array is not None})
    return {"npz": str(folder / "own.npz")}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (GREY.astype(np.int64), GREY[:, None]),
        (GREY / 255, GREY[:, None]),
        ((GREY / 255).astype(np.float32), GREY[:, None]),
        (GREY.astype(np.float32), GREY[:, None]),
        (COLOUR, np.moveaxis(COLOUR, 3, 1)),
        (np.moveaxis(COLOUR, 3, 1), np.moveaxis(COLOUR, 3, 1)),
    ],
)
def test_images_of_an_npz_come_out_as_they_were(images: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    bring(npz(tmp_path, x_train=images, x_test=images[:6]), {}, tmp_path / "data")
    data = load_examples(tmp_path / "data" / IDX_FILES[0], tmp_path / "data" / IDX_FILES[1])
    assert (data.x.numpy() == expected.astype(np.float32) / 255).all()
    assert data.y.tolist() == LABELS.tolist()
    assert data.classes == data.first(1).classes == 3


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y_test": None}, "y_test .*x_train, y_train, x_test, y_test are needed"),
        ({"x_train": GREY.reshape(12, 63)}, r"x_train is \[12, 63\]; expected \[n, H, W\]"),
        ({"x_train": RANDOM.random((12, 8, 8, 8)).round()}, r"x_train is \[12, 8, 8, 8\]"),
        ({"x_train": GREY / 127.5 - 1}, r"x_train lies in \[-.*, .*\]; expected bytes, or floats in \[0, 1\], not normalised"),
        ({"x_train": np.full((12, 9, 7), np.nan)}, r"x_train lies in \[nan, nan\]"),
        ({"x_train": GREY / 512}, "x_train has values between bytes"),
        ({"x_train": GREY.astype(str)}, "x_train is .*<U"),
        ({"x_test": GREY[:6, :8]}, "training images are 9x7, test images 8x7"),
        ({"y_train": np.eye(3)[LABELS]}, r"y_train is \[12, 3\] float64; expected whole numbers"),
        ({"y_train": LABELS[:-1]}, "there are 12 train images and 11 labels"),
        ({"y_train": LABELS - 1}, r"y_train lies in -1\.\.1"),
        ({"y_train": LABELS + 1, "y_test": LABELS[:6] + 1}, "labels are 1 to 3; they have to start at 0"),
        ({"y_train": LABELS + 1}, "class 0 has no train image"),
        ({"y_test": np.zeros(6, int)}, "classes 1, 2 have no test image; labels are 0 to 2"),
        ({"y_train": 0 * LABELS, "y_test": 0 * LABELS[:6]}, "all images are of class 0"),
        ({"x_train": np.array([None] * 12)}, "no such .npz of plain arrays"),
    ],
)
def test_arrays_that_are_no_data_set_are_one_line_and_write_nothing(arrays: Arrays, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as error:
        bring(npz(tmp_path, **arrays), {}, tmp_path / "data")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_that_is_no_npz_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_text("images")
    for name in ("own.npz", "nothing.npz"):
        with pytest.raises(InputError, match=f"{name}: no such .npz"):
            bring({"npz": str(tmp_path / name)}, {}, tmp_path / "data")


def test_a_folder_of_idx_files_may_have_channels_and_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for prefix, n in (("train", 12), ("t10k", 6)):
        write_idx(tmp_path / "own" / f"{prefix}-images-idx3-ubyte", np.moveaxis(COLOUR, 3, 1)[:n])
        write_idx(tmp_path / "own" / f"{prefix}-labels-idx1-ubyte", LABELS[:n])
    images = tmp_path / "own" / IDX_FILES[0]
    images.with_name(f"{images.name}.gz").write_bytes(gzip.compress(images.read_bytes()))
    images.unlink()
    held = bring({"folder": str(tmp_path / "own")}, {}, tmp_path / "data")
    assert held == "12 and 6 images of 3x9x7 in 3 classes"
    assert load_examples(tmp_path / "data" / IDX_FILES[0], tmp_path / "data" / IDX_FILES[1]).x.shape == (12, 3, 9, 7)


def test_files_that_are_not_those_of_the_hashes_are_refused(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "own", seed=0)
    hashes = {name: sha256(tmp_path / "own" / name) for name in IDX_FILES}
    bring({"folder": str(tmp_path / "own")}, hashes, tmp_path / "data")
    with pytest.raises(InputError, match=f"{IDX_FILES[3]} has sha256 [0-9a-f]{{64}}, expected {'0' * 64}"):
        bring({"folder": str(tmp_path / "own")}, hashes | {IDX_FILES[3]: "0" * 64}, tmp_path / "data")


class Pictures:
    """As a class of torchvision: pairs of a picture and a label."""

    sizes = (7, 7)

    def __init__(self, root: Path, train: bool = True, download: bool = False) -> None:
        assert download
        self.n = 12 if train else 6

    def __iter__(self) -> Any:
        for k in range(self.n):
            yield Image.fromarray(COLOUR[k, : self.sizes[k % 2]]), int(LABELS[k])


class BySplit(Pictures):
    def __init__(self, root: Path, split: str = "train", download: bool = False) -> None:
        super().__init__(root, {"train": True, "test": False}[split], download)


class OfTwoSizes(Pictures):
    sizes = (7, 6)


class WithMore(Pictures):
    def __init__(self, root: Path, kind: str, train: bool = True) -> None:
        super().__init__(root, train, download=True)


class Offline(Pictures):
    def __init__(self, root: Path, train: bool = True, download: bool = False) -> None:
        raise RuntimeError("Error downloading a file:\nTried a mirror, got:\n<urlopen error no route>\n")


@pytest.fixture(autouse=True)
def classes(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Pictures, BySplit, OfTwoSizes, WithMore, Offline):
        monkeypatch.setattr(torchvision.datasets, kind.__name__, kind, raising=False)
    monkeypatch.setattr("socket.setdefaulttimeout", lambda seconds: None)


@pytest.mark.parametrize("name", ["Pictures", "BySplit"])
def test_a_class_of_torchvision_is_asked_for_both_parts(name: str, tmp_path: Path) -> None:
    held = bring({"torchvision": name}, {}, tmp_path / "data")
    assert held == "12 and 6 images of 3x7x7 in 3 classes"
    assert (read_idx(tmp_path / "data" / IDX_FILES[0], 2052) == np.moveaxis(COLOUR[:, :7], 3, 1)).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nothing", "torchvision.datasets has no class Nothing"),
        ("OfTwoSizes", "has no images, or of several sizes"),
        ("WithMore", "is made with root, kind, train, not by train or split alone: make an .npz"),
        ("EMNIST", "EMNIST is made with .*: make an .npz"),
        ("Offline", "Offline: Error downloading a file: Tried a mirror, got: <urlopen error no route>; .* as npz or folder$"),
    ],
)
def test_a_class_that_gives_no_such_images_is_one_line(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        bring({"torchvision": name}, {}, tmp_path / "data")


def test_without_hashes_the_command_warns_with_the_lines_to_add(tmp_path: Path) -> None:
    def run(hashes: str) -> str:
        source = str(npz(tmp_path)).replace("'", '"')
        options = {"dataset": "own", "source": source, "hashes": hashes, "folder": str(tmp_path / "data")}
        result = CliRunner().invoke(import_data.main, [f"--{name}={value}" for name, value in options.items()])
        assert result.exit_code == 0, result.output
        assert result.stderr == result.stdout, "in the log as on the console"
        return result.stdout

    hashes = ", ".join(f"{name}: {sha256(tmp_path / 'data' / name)}" for name in IDX_FILES) if run("{}") else ""
    assert f"warning: nothing holds these files to what they were; to do so add sha256: {{{hashes}}} to datasets.own" in run(
        "{}"
    )
    given = "{" + ", ".join(f'"{name}": "{sha256(tmp_path / "data" / name)}"' for name in IDX_FILES) + "}"
    assert run(given) == "own: 12 and 6 images of 9x7 in 3 classes\n"


def test_what_is_wrong_names_the_entry(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        import_data.main, ["--dataset=own", '--source={"npz": "nothing.npz"}', "--hashes={}", f"--folder={tmp_path}"]
    )
    assert result.exit_code == 1
    assert result.output.startswith("Error: datasets.own: nothing.npz: no such .npz")
