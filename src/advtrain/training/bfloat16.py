"""Products in bfloat16 in training, as a GPU's tensor cores are quickest at; never in an evaluation."""

import torch
from torch import Tensor, nn

from advtrain.fast.form import Form
from advtrain.networks.ensemble import Ensemble


class InBfloat16(Form):
    """A network whose convolutions and products round to bfloat16. Weights, logits and all gradients are float32 outside."""

    def __init__(self, network: nn.Module) -> None:
        """Args: network, in training, alone or of several seeds; alone, its weights are put in the order of the cores."""
        super().__init__()
        self.network = network if isinstance(network, Ensemble) else network.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """What the network gives but for rounding."""
        # A recording may not keep a weight that was rounded before it.
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            logits: Tensor = self.network(x)
        return logits.float()
