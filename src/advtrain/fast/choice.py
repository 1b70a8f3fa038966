"""Which form of a network to compute with: in training, and as an attack sees it.

Each form keeps a gradient zero that is exactly zero, as those over a black background often are. cuDNN does not: it leaves
rounding noise there, and an attack, which takes the sign, makes whole steps of it.
"""

import warnings

import torch
from torch import nn

from advtrain.fast import cpu
from advtrain.fast.form import Form
from advtrain.fast.products import Products
from advtrain.networks.ensemble import Ensemble, can_be_stacked
from advtrain.networks.plain import is_watched, madry_cnn, small_cnn

BY_KERNELS = {repr(small_cnn()): "small_cnn", repr(madry_cnn()): "madry_cnn"}
"""The architectures that there are kernels for."""


def in_training(network: nn.Module) -> nn.Module:
    """`network` as the steps of its training see it.

    Args:
        network: maps images [B, C, H, W] to logits [B, K], or is an `Ensemble`. On a CPU, or where hooks watch it, it is
            returned unchanged; so is one without a known form, with a warning.
    """
    device = device_of(network)
    if device == "cpu" or is_watched(network):
        return network
    layers = network.architecture[0] if isinstance(network, Ensemble) else network
    if not can_be_stacked(layers):
        warnings.warn(
            "zeros of this network's input gradient may come out as noise, of which attacks take the sign", stacklevel=2
        )
        return network
    # Triton takes a second to import, and is not there without CUDA.
    match known_to_the_kernels(network):
        case "small_cnn":
            from advtrain.fast.small_cnn import SmallCnn

            return SmallCnn(network)
        case "madry_cnn":
            from advtrain.fast.madry_cnn import MadryCnn

            return MadryCnn(network)
    return Products(network)


def adam(network: nn.Module) -> type[torch.optim.Adam]:
    """The class of Adam for a network's training."""
    if known_to_the_kernels(network) is None:
        return torch.optim.Adam
    from advtrain.fast.adam import Adam

    return Adam


def known_to_the_kernels(network: nn.Module) -> str | None:
    """Name of the architecture that a network or each of an `Ensemble` has, if there are kernels for it where it is."""
    layers = network.architecture[0] if isinstance(network, Ensemble) else network
    if device_of(network) != "cuda" or next(network.parameters()).dtype != torch.float32:
        return None
    return BY_KERNELS.get(repr(layers))


def frozen(model: nn.Module) -> nn.Module:
    """`model` as an attack sees it: with the weights that it has now, and only the images' gradient needed.

    Args:
        model: as of `in_training`, or what that or this function gave.
    """
    form = model if isinstance(model, Form) else in_training(model)
    return form.frozen() if isinstance(form, Form) else cpu.frozen(model)


def twice_differentiable(model: nn.Module) -> nn.Module:
    """`model` in training, a form or the plain network, as a loss sees it that has a gradient in it."""
    return model.twice_differentiable() if isinstance(model, Form) else model


def device_of(model: nn.Module) -> str:
    """Kind of device that a model's weights are on; `cpu` where it has none of its own, as a form that was chosen already."""
    weight = next(model.parameters(), None)
    return weight.device.type if weight is not None else "cpu"
