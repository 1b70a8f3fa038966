"""FLOPs of attack and training steps: two for each product and sum of convolutions and matrix products, the rest left out."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode


def attack_step_flops(network: nn.Module, x: Tensor) -> int:
    """FLOPs of a forward pass of the images x and of their gradient, without the weights'."""
    frozen = copy.deepcopy(network).requires_grad_(False)
    return _flops(frozen, x.clone().requires_grad_())


def fgsm_adv_step_flops(network: nn.Module, x: Tensor) -> int:
    """FLOPs of a training step of FGSM-Adv on the images x: an attack step, then forward and backward of twice the images."""
    return attack_step_flops(network, x) + _flops(copy.deepcopy(network), torch.cat([x, x]))


def matrix_product_flops(size: int) -> int:
    """FLOPs of the product of two square matrices."""
    return 2 * size**3


def _flops(network: nn.Module, x: Tensor) -> int:
    y = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(network(x), y).backward()
    return int(counter.get_total_flops())
