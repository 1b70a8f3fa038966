import platform
import subprocess
import sys

import pytest
import torch

from advtrain.system import device
from advtrain.results.checkpoint import LIBRARY
from advtrain.system.device import describe_device, make_deterministic, select_device
from advtrain.system.errors import InputError


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_cuda_else_mps_else_the_cpu(cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert select_device("auto").type == expected


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device 'cuda' is not on this machine; there is .*cpu"):
        select_device("cuda")


def test_the_cpu_s_description_names_its_model() -> None:
    assert describe_device(torch.device("cpu")).startswith("cpu ")


def test_on_a_cpu_nothing_global_is_switched() -> None:
    make_deterministic(torch.device("cpu"))
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_computes_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    monkeypatch.setattr(device, "keep_memory", lambda: called.append(True))
    device.prepare_device("cpu")
    assert called


LARGE_TENSORS = """
import resource, sys
import torch
from advtrain.system import device
from advtrain.results.checkpoint import LIBRARY
from advtrain.system.device import keep_memory
if "keep" in sys.argv:
    keep_memory()
for _ in range(30):
    torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator has the setting")
def test_memory_that_is_kept_costs_no_new_pages() -> None:
    def page_faults(*arguments: str) -> int:
        command = [sys.executable, "-c", LARGE_TENSORS, *arguments]
        return int(subprocess.check_output(command, cwd=LIBRARY.parent, text=True))

    assert page_faults() > 1000 > 2 * page_faults("keep"), "64 MiB are 16,384 pages of 4 KiB"
