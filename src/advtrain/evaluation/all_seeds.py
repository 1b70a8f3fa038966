"""An evaluation of a cell: one attack on the networks of all its seeds."""

import itertools
from collections.abc import Callable, Iterator, Mapping

from torch import nn

from advtrain.data.examples import Examples
from advtrain.evaluation.table import Row
from advtrain.networks.ensemble import Ensemble, can_be_stacked, is_quicker_together

Attack = Callable[[nn.Module, Examples], Iterator[Row]]


def evaluate_all_seeds(
    networks: Mapping[int, nn.Module], data: Examples, attack: Attack, *, ensembles: bool = False
) -> list[Row]:
    """The rows of the evaluation table that `attack` gives for each seed's network on the data's device, with their seed.

    `ensembles`: whether it also takes an ensemble of all seeds, and then gives a row for each, one after the other.
    """
    together = ensembles and len(networks) > 1 and is_quicker_together(data.x.device)
    if together and all(map(can_be_stacked, networks.values())):
        figures = attack(Ensemble(list(networks.values())), data)
        rows = [{"seed": seed, **row} for seed, row in zip(itertools.cycle(networks), figures, strict=False)]
        return sorted(rows, key=lambda row: list(networks).index(row["seed"]))
    return [{"seed": seed, **row} for seed, network in networks.items() for row in attack(network, data)]
