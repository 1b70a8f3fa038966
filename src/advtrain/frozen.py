"""A network as an attack sees it: the weights stand still, and only the gradient with respect to the images is asked for.

`frozen` writes the layers of a plain network down once, for all steps of an attack, in the order of memory that a CPU's
convolutions work in (channels last). It is the same function of the images but for rounding; the plain network stays what the
tests compare it with. docs/benchmarks.md has what it gains.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Layer = Callable[[Tensor], Tensor]
LAYERS = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Flatten, nn.Linear)


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
    """`model`, quicker to attack on a CPU, for as long as its weights stand still.

    Args:
        model: maps images [B, 1, H, H] to logits [B, K]. Where it is not built as those of `networks` are, or lives on another
            device, or has hooks that want to see it run, it comes back as it is.
    """
    if not _is_plain(model):
        return model
    layers: list[Layer] = []
    channels, flat = 1, False
    for layer in model.children():
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


def _is_plain(model: nn.Module) -> bool:
    """Whether `frozen` knows a quicker form: a row of `LAYERS` on the CPU that begins with a convolution of grey images."""
    return (
        type(model) is nn.Sequential
        and all(type(layer) in LAYERS for layer in model)
        and isinstance(model[0], nn.Conv2d)
        and model[0].in_channels == 1
        and all(_is_simple(layer) for layer in model if isinstance(layer, nn.Conv2d))
        and all(parameter.device.type == "cpu" for parameter in model.parameters())
        and not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    )


def _is_simple(layer: nn.Conv2d) -> bool:
    return layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple)


def _convolution(layer: nn.Conv2d) -> Layer:
    weight, bias = _channels_last(layer.weight), _constant(layer.bias)
    return lambda x: F.conv2d(x, weight, bias, layer.stride, layer.padding)


def _first_convolution(layer: nn.Conv2d) -> Layer:
    weight, bias = _channels_last(layer.weight), _constant(layer.bias)
    return lambda x: _FirstConvolution.apply(x, weight, bias, layer.stride, layer.padding)


def _linear(layer: nn.Linear) -> Layer:
    weight, bias = layer.weight.detach(), _constant(layer.bias)
    return lambda x: F.linear(x, weight, bias)


def _linear_of_maps(layer: nn.Linear, channels: int) -> Layer:
    """A product with flattened maps, as a convolution of the maps' size: it takes channels last, and oneDNN's beats MKL's."""
    side = math.isqrt(layer.in_features // channels)
    weight, bias = _channels_last(layer.weight.unflatten(1, (channels, side, side))), _constant(layer.bias)
    return lambda x: F.conv2d(x, weight, bias).flatten(1)


def _constant(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()


def _channels_last(weight: Tensor) -> Tensor:
    """The weights [O, C, k, k], constant, with C next to each other in memory even where C is 1."""
    return weight.detach().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


class _FirstConvolution(torch.autograd.Function):
    """The convolution of the images, its input gradient as matrix product and fold: oneDNN's takes four times as long."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
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
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """The gradient [B, 1, H, W] of the images."""
        (weight,) = ctx.saved_tensors
        patches = weight.flatten(1).T @ gradient.flatten(2)
        x = F.fold(patches, ctx.size, weight.shape[2:], stride=ctx.stride, padding=ctx.padding)
        return x, None, None, None, None
