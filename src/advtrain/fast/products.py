"""Convolutions as matrix products, for CUDA: a gradient is then exactly zero where it has to be."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.fast.form import Form
from advtrain.networks.ensemble import Ensemble


class Products(Form):
    """One network or an ensemble of S, by matrix products alone."""

    def __init__(self, network: nn.Module) -> None:
        """Args: network, a plain one that `can_be_stacked`, or an `Ensemble`."""
        super().__init__()
        # In a tuple, so that torch does not register its weights a second time.
        self.network = (network,)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, K] of images [S, B, C, H, W]; of a single network both without S."""
        (network,) = self.network
        if isinstance(network, Ensemble):
            return _logits(network.architecture[0], list(network.parameters()), x)
        assert isinstance(network, nn.Sequential)
        return _logits(network, [weight.unsqueeze(0) for weight in network.parameters()], x.unsqueeze(0)).squeeze(0)


def _logits(layers: nn.Sequential, parameters: list[Tensor], x: Tensor) -> Tensor:
    """Logits [S, B, K] of images [S, B, C, H, W], with the weights [S, ...] of the layers."""
    weights = iter(parameters)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = _convolution(layer, next(weights), next(weights), x)
        elif isinstance(layer, nn.Linear):
            weight, bias = next(weights), next(weights)
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        elif isinstance(layer, nn.Flatten):
            x = x.flatten(2)
        elif isinstance(layer, nn.ReLU):
            x = F.relu(x)
        else:
            x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return x


def _convolution(layer: nn.Conv2d, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Maps [S, B, O, h, w] of x [S, B, C, H, W]: what each output sees as a column, times the weights [S, O, C, k, k]."""
    assert isinstance(layer.padding, tuple)  # as in every known architecture
    size = [
        (side + 2 * padding - kernel) // stride + 1
        for side, padding, kernel, stride in zip(x.shape[3:], layer.padding, layer.kernel_size, layer.stride, strict=True)
    ]
    columns = F.unfold(x.flatten(0, 1), layer.kernel_size, padding=layer.padding, stride=layer.stride)
    columns = columns.unflatten(0, x.shape[:2]).transpose(1, 2).flatten(2)
    maps: Tensor = torch.baddbmm(bias.unsqueeze(2), weight.flatten(2), columns).unflatten(2, (x.shape[1], *size))
    return maps.transpose(1, 2)
