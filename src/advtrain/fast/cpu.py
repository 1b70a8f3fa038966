"""A network as an attack sees it: the weights are constant, and only the gradient with respect to the images is needed.

`frozen` writes the layers of a plain network down once, for all steps of an attack, in the order of memory that a CPU's
convolutions work in (channels last). It is the same function of the images except for rounding, and the tests compare it
with the plain network. docs/benchmarks.md says how much faster it is.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from advtrain.networks.plain import is_known_architecture, is_watched

Layer = Callable[[Tensor], Tensor]


class Frozen(nn.Module):
    """Layers with constant weights and without modes, one after the other."""

    def __init__(self, layers: list[Layer]) -> None:
        """Args: layers, from the images to the logits."""
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K] of the images x [B, 1, H, H]."""
        for layer in self.layers:
            x = layer(x)
        return x


def frozen(model: nn.Module) -> nn.Module:
    """`model` with the weights that it has now, quicker to attack on a CPU.

    Args:
        model: maps images [B, 1, H, H] to logits [B, K]. Where it is not plain as the networks of `networks` are, is watched by
            hooks, takes images of several channels or is on another device, it is returned unchanged.
    """
    if not is_known_architecture(model) or not _is_quicker_frozen(model):
        return model
    layers: list[Layer] = []
    channels, flat = 1, False
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            layers.append(_convolution(layer) if layers else _first_convolution(layer))
            channels = layer.out_channels
        elif isinstance(layer, nn.Linear):
            layers.append(_linear(layer) if flat else _linear_of_maps(layer, channels))
            flat = True
        elif isinstance(layer, nn.ReLU):
            layers.append(torch.relu_)
        elif isinstance(layer, nn.MaxPool2d):
            layers.append(layer)
    return Frozen(layers)


def _is_quicker_frozen(model: nn.Sequential) -> bool:
    convolutions = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    dense = next(layer for layer in model if isinstance(layer, nn.Linear))
    places, rest = divmod(dense.in_features, convolutions[-1].out_channels)
    return (
        convolutions[0].in_channels == 1
        and rest == 0
        and math.isqrt(places) ** 2 == places
        and all(parameter.device.type == "cpu" for parameter in model.parameters())
        and not is_watched(model)
    )


def _convolution(layer: nn.Conv2d) -> Layer:
    weight, bias = _channels_last(layer.weight), _constant(layer.bias)
    stride, size = layer.stride[0], layer.kernel_size[0]
    if stride == 1 or size % stride or layer.stride != (stride, stride) or layer.kernel_size != (size, size):
        return lambda x: F.conv2d(x, weight, bias, layer.stride, layer.padding)
    phases = _phases(weight, stride)
    return lambda x: _StridedConvolution.apply(x, weight, bias, phases, stride, layer.padding)


def _first_convolution(layer: nn.Conv2d) -> Layer:
    weight, bias = _channels_last(layer.weight), _constant(layer.bias)
    return lambda x: _FirstConvolution.apply(x, weight, bias, layer.stride, layer.padding)


def _linear(layer: nn.Linear) -> Layer:
    weight, bias = layer.weight.detach().clone(), _constant(layer.bias)
    return lambda x: F.linear(x, weight, bias)


def _linear_of_maps(layer: nn.Linear, channels: int) -> Layer:
    """A product with flattened maps, as a convolution of the maps' size: it takes channels last, and oneDNN's beats MKL's."""
    side = math.isqrt(layer.in_features // channels)
    weight, bias = _channels_last(layer.weight.unflatten(1, (channels, side, side))), _constant(layer.bias)
    plain = _linear(layer)
    # Maps that are no square may have as many places as one.
    return lambda x: F.conv2d(x, weight, bias).flatten(1) if x.shape[2] == side else plain(x.flatten(1))


def _constant(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().clone()


def _channels_last(weight: Tensor) -> Tensor:
    return weight.detach().clone(memory_format=torch.channels_last)


def _phases(weight: Tensor, stride: int) -> Tensor:
    """A kernel [O, C, k, k] cut into the kernels of its s x s phases, turned by half, [s * s * C, O, k / s, k / s]."""
    outputs, channels, size, _ = weight.shape
    cut = weight.reshape(outputs, channels, size // stride, stride, size // stride, stride).flip(2, 4)
    return _channels_last(cut.permute(3, 5, 1, 0, 2, 4).reshape(-1, outputs, size // stride, size // stride))


class _StridedConvolution(torch.autograd.Function):
    """A convolution whose input gradient is a convolution for each phase of the stride, interleaved (Shi et al. 2016)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        phases: Tensor,
        stride: int,
        padding: tuple[int, int],
    ) -> Tensor:
        """The maps [B, O, h, w], channels last."""
        ctx.save_for_backward(phases)
        ctx.shape, ctx.stride, ctx.padding = x.shape, stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient [B, C, H, W], channels last."""
        (phases,) = ctx.saved_tensors
        (n, channels, height, width), stride, (top, left) = ctx.shape, ctx.stride, ctx.padding
        cut = F.conv2d(gradient, phases, padding=phases.shape[-1] - 1).permute(0, 2, 3, 1)
        h, w = cut.shape[1:3]
        whole = cut.reshape(n, h, w, stride, stride, channels).transpose(2, 3).reshape(n, h * stride, w * stride, channels)
        x = F.pad(whole, (0, 0, -left, width + left - w * stride, -top, height + top - h * stride))
        return x.permute(0, 3, 1, 2), None, None, None, None, None


class _FirstConvolution(torch.autograd.Function):
    """The convolution of the images, its input gradient as matrix product and fold: oneDNN's takes four times as long."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        """The maps [B, O, h, w], channels last."""
        ctx.save_for_backward(weight)
        ctx.size, ctx.stride, ctx.padding = x.shape[2:], stride, padding
        # One channel is channels first and last at once; these strides say which is meant.
        return F.conv2d(x.reshape(len(x), *x.shape[2:], 1).permute(0, 3, 1, 2), weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient [B, 1, H, W] of the images."""
        (weight,) = ctx.saved_tensors
        patches = weight.flatten(1).T @ gradient.flatten(2)
        x = F.fold(patches, ctx.size, weight.shape[2:], stride=ctx.stride, padding=ctx.padding)
        return x, None, None, None, None
