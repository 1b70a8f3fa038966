"""Rounding noise where a gradient is zero, as an experiment: what cuDNN's convolutions do by themselves."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from advtrain.fast.choice import frozen, twice_differentiable
from advtrain.fast.form import Form
from advtrain.system.randomness import SeededRandom

NOISE = 1e-30
"""An attack takes its sign alone."""


class NoisyZeros(Form):
    """A network whose input gradient is not exactly zero anywhere: where it would be, its sign is drawn at random."""

    def __init__(self, network: nn.Module, random: SeededRandom) -> None:
        """Args: network, in training, alone or of several seeds; random, what draws the signs."""
        super().__init__()
        self.network, self.random = network, random

    def forward(self, x: Tensor) -> Tensor:
        """What the network gives."""
        logits: Tensor = self.network(_Noise.apply(x, self.random))
        return logits

    def frozen(self) -> Form:
        """For an attack."""
        return NoisyZeros(frozen(self.network), self.random)

    def twice_differentiable(self) -> nn.Module:
        """Without noise: a sign has no derivative."""
        return twice_differentiable(self.network)


class _Noise(torch.autograd.Function):
    """Nothing in forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, random: SeededRandom) -> Tensor:
        ctx.random = random
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        up = ctx.random.uniform(gradient) < 0.5
        return torch.where(gradient == 0, torch.where(up, NOISE, -NOISE), gradient), None
