"""Networks of a user's own: `file.py:function` in the configuration. The function takes nothing and gives the network."""

import hashlib
import importlib.util
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from advtrain.results.code import own_file
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom


def own_network(name: str, seed: int) -> nn.Module:
    """The network of `file.py:function`, a path below the working folder, with the weights that its function gives it.

    `seed` is that of torch's global generator while the function runs, whose state is then what it was before.

    Raises:
        InputError: there is no such file or function, it fails, or gives no network.
    """
    file, _, function = name.rpartition(":")
    make = getattr(_module(Path(file)), function, None)
    if make is None:
        raise InputError(f"network {name!r}: {file} has no function {function}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = make()
        except Exception as error:  # whatever goes wrong in the user's code is the user's to mend
            raise InputError(f"network {name!r}: {_last_line(Path(file), error)}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"network {name!r}: {function}() gives {type(network).__name__}, expected a torch.nn.Module")
    return network


def source_digest(name: str) -> str:
    """SHA-256 of the file of a user's own network; empty for ours, which the digest of our code has."""
    file = own_file(name)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


@cache
def _module(file: Path) -> ModuleType:
    """The module in a file, run once."""
    if not file.is_file():
        raise InputError(f"{file}: no such file; a network is file.py:function, with a path below {Path.cwd()}")
    spec = importlib.util.spec_from_file_location(f"own_{file.stem}", file)
    assert spec and spec.loader, "it ends with .py"
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(_last_line(file, error)) from error
    return module


def _last_line(file: Path, error: Exception) -> str:
    """An error as one line, with the last line of `file` that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file.name]
    said = str(error).partition("\n")[0]
    return f"{file}{f', line {lines[-1]}' if lines else ''}: {type(error).__name__}: {said}"


class SeededDropout(nn.Module):
    """Dropout that draws from a training's own generator, which checkpoints have, and not from a global one."""

    def __init__(self, layer: nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d, random: SeededRandom) -> None:
        """Args: the layer whose place it takes; what it draws from."""
        super().__init__()
        self.training, self.p, self.channels, self.random = layer.training, layer.p, not isinstance(layer, nn.Dropout), random

    def forward(self, x: Tensor) -> Tensor:
        """x [B, C, ...] with values, or whole channels, set to zero and the others raised; in evaluation mode unchanged."""
        if not self.training:
            return x
        places = x.flatten(2)[..., 0].unflatten(1, (-1, *[1] * (x.dim() - 2))) if self.channels else x
        return x * (self.random.uniform(places) >= self.p) / (1 - self.p)


def seed_dropout(network: nn.Module, random: SeededRandom) -> None:
    """Let all dropout layers of a network draw from `random`, in place."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                setattr(parent, name, SeededDropout(layer, random))
