"""Residual networks with batch norm, for 32x32 colour images and ten classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.data.examples import CLASSES


class Block(nn.Module):
    """Two convolutions, each after batch norm and ReLU, beside a shortcut (He et al. 2016, "Identity mappings", Figure 1b)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """Args: channels that come in; width, those that go out; stride, of the first convolution."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, kernel_size=1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, channels, H, W] to [B, width, H / stride, W / stride]."""
        z = F.relu(self.norm1(x))
        beside = x if self.shortcut is None else self.shortcut(z)
        y: Tensor = self.conv2(F.relu(self.norm2(self.conv1(z)))) + beside
        return y


class PreActResNet(nn.Module):
    """A convolution, stages of blocks of which each but the first halves the maps, batch norm, their mean, a dense layer."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        """Args: widths, channels of each stage; blocks, in each stage."""
        super().__init__()
        channels = widths[0]
        self.conv = nn.Conv2d(3, channels, kernel_size=3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        for stage, width in enumerate(widths):
            for number in range(blocks):
                self.blocks.append(Block(channels, width, stride=2 if stage and not number else 1))
                channels = width
        self.norm = nn.BatchNorm2d(channels)
        self.out = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 10] of the images x [B, 3, 32, 32] in [0, 1]."""
        z = F.relu(self.norm(self.blocks(self.conv(x))))
        logits: Tensor = self.out(z.mean((2, 3)))
        return logits


def preact_resnet18() -> PreActResNet:
    """The network of Fast-AT and most that followed it on CIFAR-10, without their normalisation of the images and with our
    initial weights; 11,172,170 parameters.

    Source: He et al. 2016, "Identity mappings in deep residual networks"; Wong et al. 2020.
    """
    return PreActResNet(widths=(64, 128, 256, 512), blocks=2)


def resnet8() -> PreActResNet:
    """The same with a block of 16, one of 32 and one of 64 channels, for a CPU, where channels last are quicker; 77,850
    parameters.
    """
    return PreActResNet(widths=(16, 32, 64), blocks=1).to(memory_format=torch.channels_last)
