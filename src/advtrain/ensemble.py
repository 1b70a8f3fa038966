"""Networks of several seeds as one batched network: the seeds' axis stands in front of everything.

On a GPU a step of one small network costs its launches, not its arithmetic, so that several seeds cost little more than one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn import functional as F


class Ensemble(nn.Module):
    """S networks of one architecture, each seeing its own images: [S, B, C, H, W] to logits [S, B, K]."""

    def __init__(self, networks: Sequence[nn.Sequential]) -> None:
        """Args: networks, each a row of the layers that `networks` has; their weights are copied."""
        super().__init__()
        stacked, _ = stack_module_state(list(networks))
        self.names = list(stacked)
        self.stacked = nn.ParameterList(stacked.values())
        # A row without weights of its own: only what the layers are is asked of it.
        self.architecture = [networks[0]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, K]. The seeds are groups of channels until the maps are flattened, then batches of products."""
        seeds = len(x)
        weights = dict(zip(self.names, self.stacked, strict=True))
        x = x.transpose(0, 1).flatten(1, 2)
        for name, layer in self.architecture[0].named_children():
            if isinstance(layer, nn.Conv2d):
                weight, bias = weights[f"{name}.weight"].flatten(0, 1), weights[f"{name}.bias"].flatten()
                x = F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=seeds)
            elif isinstance(layer, nn.Flatten):
                x = x.unflatten(1, (seeds, -1)).flatten(2).transpose(0, 1)
            elif isinstance(layer, nn.Linear):
                x = weights[f"{name}.bias"].unsqueeze(1).baddbmm(x, weights[f"{name}.weight"].mT)
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


def for_each(model: nn.Module, tensor: Tensor) -> Tensor:
    """The tensor as an ensemble of S networks takes it, seen once by each, [S, ...]; for another model as it is."""
    return tensor.expand(len(model), *tensor.shape) if isinstance(model, Ensemble) else tensor


def quicker_at_once(device: torch.device) -> bool:
    """Whether an ensemble is quicker on `device` than its networks one by one: not on a CPU (docs/benchmarks.md)."""
    return device.type == "cuda"
