"""Networks of several seeds as one batched network: the seeds' axis comes first everywhere.

On a GPU a step of one small network costs its launches, not its arithmetic, so that several seeds cost little more than one.
"""

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn import functional as F

from advtrain.networks.plain import is_known_architecture
from advtrain.system.errors import InputError


class Ensemble(nn.Module):
    """S networks of one architecture, each seeing its own images: [S, B, C, H, W] to logits [S, B, K]."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Copy the weights of some networks.

        Raises:
            InputError: they cannot be stacked.
        """
        super().__init__()
        plain = [network for network in networks if can_be_stacked(network)]
        if len(plain) < len(networks):
            raise InputError("an ensemble is made of plain networks with biases: convolutions, flattened, then dense layers")
        stacked, _ = stack_module_state(list(networks))
        self.names = list(stacked)
        self.stacked = nn.ParameterList(stacked.values())
        # In a tuple, so that torch does not register its weights: only the kinds of its layers are used.
        self.architecture = (plain[0],)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, K]. The seeds are groups of channels until the maps are flattened, then batches of products."""
        seeds = len(x)
        weights = iter(self.stacked)
        x = x.transpose(0, 1).flatten(1, 2)
        for layer in self.architecture[0]:
            if isinstance(layer, nn.Conv2d):
                weight, bias = next(weights).flatten(0, 1), next(weights).flatten()
                x = F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=seeds)
            elif isinstance(layer, nn.Flatten):
                x = x.unflatten(1, (seeds, -1)).flatten(2).transpose(0, 1)
            elif isinstance(layer, nn.Linear):
                weight, bias = next(weights), next(weights)
                x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
            else:
                x = layer(x)
        return x

    def __len__(self) -> int:
        """Count the networks, S."""
        return len(self.stacked[0])

    def state_dicts(self) -> list[dict[str, Tensor]]:
        """Each network's own state dict."""
        return [
            {name: weight[seed].detach() for name, weight in zip(self.names, self.stacked, strict=True)}
            for seed in range(len(self))
        ]


def can_be_stacked(network: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether an ensemble knows all layers of a network: a plain one, a weight and a bias in each layer that has any."""
    return is_known_architecture(network) and len(list(network.parameters())) == 2 * sum(
        isinstance(layer, nn.Conv2d | nn.Linear) for layer in network
    )


def per_seed(model: nn.Module, tensor: Tensor) -> Tensor:
    """The tensor repeated for each of an ensemble's S networks, [S, ...]; for another model unchanged."""
    return tensor.expand(len(model), *tensor.shape) if isinstance(model, Ensemble) else tensor


def is_quicker_together(device: torch.device) -> bool:
    """Whether an ensemble is quicker on `device` than its networks one by one: not on a CPU (docs/benchmarks.md)."""
    return device.type == "cuda"
