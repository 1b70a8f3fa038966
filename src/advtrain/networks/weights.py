"""Weights from elsewhere: state dicts, read as data and never as code, and fitted to a network."""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from advtrain.networks.plain import is_known_architecture
from advtrain.system.errors import InputError, is_out_of_memory

StateDict = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class External:
    """What has to be known of weights from elsewhere."""

    network: str
    """What they are the weights of, as the configuration names networks."""
    seed: int
    """Under which seed their results stand; nothing is drawn."""
    mean: tuple[float, ...] = ()
    """What the network's inputs are normalised with, one for each channel or for all, in the units of images in [0, 1]."""
    std: tuple[float, ...] = ()
    flattened: Literal["channels_first", "channels_last"] = "channels_first"
    """Order of the maps that the first dense layer expects."""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise InputError(f"mean is {list(self.mean)} and std {list(self.std)}; one of each for each channel, std above 0")


SAFETENSORS_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "BOOL": torch.bool,
}


def read_state_dict(path: Path) -> tuple[StateDict, list[str]]:
    """The tensors of a state dict by name, on the CPU, and in words where they lay: a file of torch.save, or .safetensors.

    A state dict may lie in a dictionary with other things, as `state_dict` of a training's checkpoint does. Raises InputError
    where the file is missing, is no such file or a damaged one, needs code to be read, or has no state dict or several.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if _is_state_dict(content):
        return dict(content), []
    inner = {key: value for key, value in content.items() if _is_state_dict(value)} if isinstance(content, Mapping) else {}
    if len(inner) != 1:
        found = f"several state dicts, {', '.join(map(str, inner))}: save one" if inner else "no state dict: save one"
        raise InputError(f"{path}: holds {found}, as torch.save(network.state_dict(), file) does")
    ((key, state),) = inner.items()
    unused = ", ".join(str(other) for other in content if other != key)
    return dict(state), [f"weights under {key!r}", *([f"unused: {unused}"] if unused else [])]


def fit(state: StateDict, network: nn.Module, *, channels_last: bool) -> tuple[StateDict, list[str]]:
    """A state dict as `network` wants it, and in words what was changed.

    What all names begin with, such as `module.`, does not count. Where names still differ, tensors are matched by their shapes
    if no two are alike. Keras' order of kernels, [h, w, in, out] and [in, out], is told by the shapes. `channels_last`: the
    first dense layer expects maps flattened as [h, w, C], not as [C, h, w]; so it is with Keras' kernels. Numbers are converted
    to the network's types.

    Raises:
        InputError: something does not fit, key by key; or a weight is NaN or infinite.
    """
    expected = network.state_dict()
    prefix, own_prefix = _common_prefix(state), _common_prefix(expected)
    bare = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    wanted = {name.removeprefix(own_prefix): tensor for name, tensor in expected.items()}
    notes = [] if prefix == own_prefix else [f"names begin with {prefix!r} in the file, with {own_prefix!r} in the network"]
    found = _matched(bare, wanted)
    if found is None:
        found = _matched({name: _from_keras(tensor) for name, tensor in bare.items()}, wanted)
        if found is None:
            raise InputError("; ".join(_differences(bare, wanted)))
        notes.append("kernels turned from Keras' order")
        channels_last = channels_last or any(tensor.dim() == 4 for tensor in wanted.values())
    if found.keys() != bare.keys():
        notes.append("tensors matched by their shapes, since their names differ")
    if bad := [name for name, tensor in found.items() if not tensor.isfinite().all()]:
        raise InputError(f"NaN or infinite somewhere: {', '.join(bad)}")
    kinds = {(found[name].dtype, tensor.dtype) for name, tensor in wanted.items() if found[name].dtype != tensor.dtype}
    notes += sorted(f"{theirs} converted to {ours}".replace("torch.", "") for theirs, ours in kinds)
    fitted = {own_prefix + name: found[name].to(tensor.dtype) for name, tensor in wanted.items()}
    if channels_last:
        notes.append(_flatten_channels_first(fitted, network))
    return fitted, notes


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of another kind can make the unpickler raise anything
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{path}: no file of tensors alone, or a damaged one; code in a file is not run, so save a state dict, as "
            "torch.save(network.state_dict(), file) does"
        ) from error


def _read_safetensors(path: Path) -> StateDict:
    """The format: the header's length in 8 bytes, little-endian; the header in JSON; the tensors' bytes."""
    content = bytearray(path.read_bytes())
    try:
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                kind, shape, start = SAFETENSORS_TYPES[entry["dtype"]], entry["shape"], 8 + length + entry["data_offsets"][0]
                tensors[name] = torch.frombuffer(content, dtype=kind, count=math.prod(shape), offset=start).view(shape).clone()
        return tensors
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no file of safetensors, or a damaged one ({type(error).__name__}: {error})") from error


def _is_state_dict(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(isinstance(value, Tensor) for value in content.values())


def _common_prefix(names: Iterable[str]) -> str:
    """The parts, each with its dot, that all names begin with."""
    prefix, left = "", list(names)
    while len({name.partition(".")[0] for name in left}) == 1 and all("." in name for name in left):
        prefix += left[0].partition(".")[0] + "."
        left = [name.partition(".")[2] for name in left]
    return prefix


def _matched(state: StateDict, expected: Mapping[str, Tensor]) -> StateDict | None:
    """The tensors by the expected names: under these, else by their shapes; None where neither fits."""
    shapes, wanted = ([tuple(tensor.shape) for tensor in tensors.values()] for tensors in (state, expected))
    if state.keys() == expected.keys():
        return dict(state) if all(state[name].shape == tensor.shape for name, tensor in expected.items()) else None
    if sorted(shapes) != sorted(wanted) or len(set(wanted)) < len(wanted):
        return None
    by_shape = {tuple(tensor.shape): tensor for tensor in state.values()}
    return {name: by_shape[tuple(tensor.shape)] for name, tensor in expected.items()}


def _from_keras(tensor: Tensor) -> Tensor:
    """A kernel [h, w, in, out] as [out, in, h, w], or [in, out] as [out, in]."""
    return tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.T if tensor.dim() == 2 else tensor


def _differences(state: StateDict, expected: Mapping[str, Tensor]) -> list[str]:
    """What does not fit, key by key."""
    lines = []
    for name in [*expected, *(name for name in state if name not in expected)]:
        ours, theirs = (list(tensors[name].shape) if name in tensors else None for tensors in (expected, state))
        if theirs is None:
            lines.append(f"{name} {ours} is missing")
        elif ours is None:
            lines.append(f"{name} {theirs} is not in the network")
        elif ours != theirs:
            lines.append(f"{name} is {theirs}, expected {ours}")
    return lines


def _flatten_channels_first(state: StateDict, network: nn.Module) -> str:
    """Turn the first dense layer's weights from maps flattened as [h, w, C] to [C, h, w], in place; returns that in words."""
    if not is_known_architecture(network):
        raise InputError(
            "maps flattened with channels last are turned only for a network of convolutions, Flatten and dense layers in one "
            "nn.Sequential; in another one flatten x.movedim(1, -1)"
        )
    channels = [layer.out_channels for layer in network if isinstance(layer, nn.Conv2d)][-1]
    name = next(name for name, layer in network.named_children() if isinstance(layer, nn.Linear)) + ".weight"
    state[name] = state[name].unflatten(1, (-1, channels)).transpose(1, 2).flatten(1)
    return f"{name} turned from channels last"
