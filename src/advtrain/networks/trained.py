"""Trained networks, from the file that train.py or import_weights.py writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.data.examples import Examples
from advtrain.networks.own import source_digest
from advtrain.networks.plain import check_fits, new_network
from advtrain.results import checkpoint
from advtrain.results.code import own_file
from advtrain.system.errors import InputError


class Normalised(nn.Module):
    """A network whose inputs are normalised, as one that takes images in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        """Args: the network; mean and standard deviation of each channel, [C], in the units of images in [0, 1]."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.view(-1, 1, 1))
        self.register_buffer("std", std.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K] of the images x [B, C, H, W]."""
        logits: Tensor = self.network((x - self.mean) / self.std)
        return logits


def content(network: str, weights: Mapping[int, Mapping[str, Tensor]], **normalised: list[float]) -> dict[str, Any]:
    """What a file of trained networks holds besides its provenance: their name, weights by seed, perhaps `mean` and `std`."""
    by_seed = {str(seed): dict(state) for seed, state in weights.items()}
    return {"network": network, "source": source_digest(network), "normalised": normalised, "weights": by_seed}


def load_networks(model: Path, data: Examples) -> dict[int, nn.Module]:
    """The trained networks of a cell by seed, on the device of the images that they are for.

    Raises:
        InputError: the file is missing or damaged; or as `networks_of`, with the file's name.
    """
    try:
        return networks_of(checkpoint.load(model), data)
    except InputError as error:
        raise InputError(f"{model}: {str(error).removeprefix(f'{model}: ')}") from error


def networks_of(trained: Mapping[str, Any], data: Examples) -> dict[int, nn.Module]:
    """The networks in a `content`, by seed, on the device of the images that they are for.

    Raises:
        InputError: as `rebuilt`; or a network does not fit the images.
    """
    networks = rebuilt(trained)
    for network in networks.values():
        check_fits(network, trained["network"], data)
    return {seed: network.to(data.x.device) for seed, network in networks.items()}


def rebuilt(trained: Mapping[str, Any]) -> dict[int, nn.Module]:
    """The networks in a `content`, by seed, on the CPU.

    Raises:
        InputError: a network is unknown or has changed since, or a weight is NaN or infinite.
    """
    name: str = trained["network"]
    if trained.get("source", "") != source_digest(name):
        raise InputError(f"the file of its network {name} has changed since; make the model again")
    networks: dict[int, nn.Module] = {}
    for seed, weights in trained["weights"].items():
        for key, tensor in weights.items():
            if not tensor.isfinite().all():
                raise InputError(f"{key} of seed {seed} is NaN or infinite somewhere")
        network = new_network(name)
        network.load_state_dict(weights)
        if normalised := trained.get("normalised"):
            network = Normalised(network, torch.tensor(normalised["mean"]), torch.tensor(normalised["std"]))
        networks[int(seed)] = network
    return networks


def load_network(cell: Path, seed: int) -> nn.Module:
    """The network of a cell `{results}/{dataset}/{defense}` and a seed, in evaluation mode; raises as `advtrain.load`."""
    model = cell.parent.parent / "models" / cell.parent.name / f"{cell.name.removesuffix('.parquet')}.pt"
    trained = checkpoint.load(model)
    networks = rebuilt({**trained, "network": _found_from(model.absolute(), trained["network"])})
    if seed not in networks:
        raise InputError(f"{cell}: seed {seed} was not trained; there are {', '.join(map(str, networks))}")
    return networks[seed].eval()


def _found_from(model: Path, network: str) -> str:
    """A network's name with the whole path of its file, if it is a user's own: below the working folder or above the model."""
    file = own_file(network)
    found = [folder / network for folder in (Path.cwd(), *model.parents) if (folder / file).is_file()]
    if file and not found:
        raise InputError(f"{model}: the file of its network {network} is neither below {Path.cwd()} nor beside the results")
    return str(found[0]) if file else network
