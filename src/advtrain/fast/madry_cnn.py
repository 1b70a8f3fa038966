"""madry_cnn by the kernels."""

from torch import nn

from advtrain.fast import madry_kernels
from advtrain.fast.by_kernels import ByKernels


class MadryCnn(ByKernels):
    """One madry_cnn or an ensemble of S in training."""

    def __init__(self, network: nn.Module) -> None:
        """Args: network, a plain madry_cnn or an `Ensemble` of them."""
        super().__init__(madry_kernels, network)
