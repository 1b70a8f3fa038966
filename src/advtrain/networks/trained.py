"""Trained networks, from the file that train.py writes."""

from pathlib import Path

import torch
from torch import nn

from advtrain.networks.plain import new_network
from advtrain.results import checkpoint


def load_networks(model: Path, device: torch.device) -> dict[int, nn.Sequential]:
    """The trained networks of a cell by seed, on the device.

    Raises:
        InputError: the file is missing or damaged, or its network is unknown.
    """
    trained = checkpoint.load(model)
    networks: dict[int, nn.Sequential] = {}
    for seed, weights in trained["weights"].items():
        network = new_network(trained["network"])
        network.load_state_dict(weights)
        networks[int(seed)] = network.to(device)
    return networks
