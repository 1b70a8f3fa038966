"""Which device to compute on, what it is called, and how to wait for it."""

import ctypes
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from advtrain.system.errors import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, GIGABYTE = -1, -3, 1 << 30
"""The first two are glibc's names for settings of its allocator (malloc.h)."""


def select_device(name: str) -> torch.device:
    """The device of a configuration's `device`: `auto` takes CUDA, else MPS, else the CPU; InputError for one not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if not available.get(name, False):
        raise InputError(f"device {name!r} is not on this machine; there is {', '.join(d for d in available if available[d])}")
    return torch.device(name)


def prepare_device(name: str) -> torch.device:
    """The device of `select_device`, made deterministic and quick: what every script that computes begins with."""
    device = select_device(name)
    make_deterministic(device)
    keep_memory()
    return device


def keep_memory() -> None:
    """Let glibc keep memory that tensors gave back. By default it returns large blocks to the system at once, and each step of
    a training pays for its pages again; docs/benchmarks.md says how much it gains. Does nothing where there is no glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if platform.libc_ver()[0] == "glibc" else None
    # Before 2.35 glibc takes 32 MiB at most. The second setting alone would keep the first from growing by itself.
    if mallopt is not None and (mallopt(M_MMAP_THRESHOLD, GIGABYTE) or mallopt(M_MMAP_THRESHOLD, 32 << 20)):
        mallopt(M_TRIM_THRESHOLD, GIGABYTE)


def make_deterministic(device: torch.device) -> None:
    """Let equal runs on `device` give equal bits, before it is used: cuBLAS reads its setting at its start.

    On a CPU they do so anyway, for one number of threads.
    """
    if device.type != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # use_deterministic_algorithms(True, warn_only=True) is the same but for two seconds of importing torch's compiler.
        torch.set_deterministic_debug_mode("warn")
        # TF32 keeps ten bits of a float32; an attack's sign of a small gradient needs them all.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        # Else torch fills every empty tensor with NaN, a kernel each.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        # Of Triton's kernels; its default changes from version to version.
        os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")


@contextmanager
def no_place_twice() -> Iterator[None]:
    """For writes to an index in which no place is there twice, as in a minibatch: they are deterministic in any order.

    torch does not know. Where it is to be deterministic, it checks the index and sorts it first, in ten kernels and more.
    """
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)


def describe_device(device: torch.device) -> str:
    """The device's model name, for provenance: of the GPU, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # Linux; platform.processor() says little there
    models = re.findall(r"^model name\s*:\s*(.+)", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else []
    return f"{device.type} {models[0] if models else platform.processor() or platform.machine()}"


def numerics(device: torch.device) -> dict[str, Any]:
    """What decides the last bits of a result on `device`: its name, CUDA, the number of threads, TF32 and determinism."""
    return {"device": describe_device(device), "cuda": torch.version.cuda, **device_settings(device)}


def device_settings(device: torch.device) -> dict[str, Any]:
    """The part of `numerics` that a checkpoint requires; a cluster may resume a training on another model of device."""
    return {
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "tf32": device.type == "cuda" and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def images_at_once(device: torch.device, batch_size: int, networks: int = 1) -> int:
    """How many images an attack on some networks takes at once on `device`, where no result depends on it: `batch_size`, or
    what fills a GPU. 12 MB of its free memory for an image and a network are more than preact_resnet18 takes.
    """
    if device.type != "cuda":
        return batch_size
    return max(batch_size, min(10_000, torch.cuda.mem_get_info(device)[0] // (12_000_000 * networks)))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
