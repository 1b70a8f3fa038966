"""Cheap adversarial training: attacks, defenses, training and evaluation, as a library without command line or workflow.

A trained classifier under an attack of another library, x [B, 1, 28, 28] in [0, 1] and y [B]:

    import advtrain, torchattacks
    classifier = advtrain.load("results/mnist/proposed", seed=0)
    x_adv = torchattacks.PGD(classifier, eps=0.3, alpha=0.01, steps=40)(x, y)
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def load(cell: str | Path, *, seed: int) -> nn.Module:
    """The classifier that a run trained with one seed, on the CPU and in evaluation mode.

    Maps images [B, C, H, W] in [0, 1] to logits [B, K]; those of MNIST are [B, 1, 28, 28].

    Args:
        cell: `{results}/{dataset}/{defense}`, as its evaluation table is called, with or without suffix.
        seed: one of those that were trained.

    Raises:
        InputError: there is no such cell or seed, the file is damaged, or a network of the user's own has changed since.
    """
    # Not by an import statement: every script imports this package, and would wait for torch and depend on the networks.
    network: nn.Module = importlib.import_module("advtrain.networks.trained").load_network(Path(cell), seed)
    return network
