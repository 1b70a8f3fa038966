"""Which device to compute on, what it is called, and how to wait for it."""

import platform

import torch

from advtrain.errors import InputError


def select_device(name: str) -> torch.device:
    """The device of a configuration's `device`: `auto` takes CUDA, else MPS, else the CPU.

    Raises:
        InputError: the device is named but not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if not available.get(name, False):
        raise InputError(f"device {name!r} is not on this machine; there is {', '.join(d for d in available if available[d])}")
    return torch.device(name)


def make_deterministic(device: torch.device) -> None:
    """Let equal runs on `device` give equal bits; on a CPU they do so anyway, and the switch costs seconds of imports."""
    if device.type != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)


def describe_device(device: torch.device) -> str:
    """The device's model name, for provenance."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {platform.machine()}"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
