"""Transfer: adversarial examples of one model on another (Papernot et al. 2016; Carlini et al. 2019, Section 4)."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from advtrain.attacks.pgd import Pgd
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import batches, share
from advtrain.networks.plain import predict_all

ANY = "any other"
"""The source that stands for all other models together."""

MATRIX_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("seed", pa.int64()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("examples", pa.int64()),
        ("accuracy", pa.float64()),
        ("newly_fooled", pa.float64()),
    ]
)
"""Columns of the transfer matrix, one row for each seed, source and target."""


def transfer(
    models: Mapping[str, nn.Module], withstood: Mapping[str, Tensor], data: Examples, pgd: Pgd
) -> Iterator[dict[str, Any]]:
    """Accuracy of each model under the adversarial examples of each, and how many of them its own attack had missed.

    The examples are the last iterates of `pgd`'s steps from the clean images, not stopped when they fool: what has just crossed
    one model's boundary seldom crosses another's.

    Args:
        models: by name, each mapping [B, 1, 28, 28] to logits [B, 10], on the data's device.
        withstood: for each model, whether an image withstood every white-box attack on it; bool, [n].
        data: the n images.
        pgd: the attack on each model.

    Yields:
        For each source and target `source`, `target`, `examples`, `accuracy` and `newly_fooled`, the share of images that
        withstood the attacks on the target itself; for each target also of all other sources together, `ANY`.
    """
    right: dict[tuple[str, str], Tensor] = {}
    for source, attacked in models.items():
        x_adv = torch.cat(
            [
                bim(attacked, x, y, epsilon=pgd.epsilon, step_size=pgd.step_size, iterations=pgd.iterations)
                for x, y in batches(data, pgd.batch_size)
            ]
        )
        for target, model in models.items():
            right[source, target] = predict_all(model, x_adv, pgd.batch_size).argmax(dim=1) == data.y
    for target in models:
        others = torch.stack(
            [right[source, target] for source in models if source != target] or [torch.ones_like(withstood[target])]
        )
        for source, still in (*((source, right[source, target]) for source in models), (ANY, others.all(dim=0))):
            yield {
                "source": source,
                "target": target,
                "examples": len(data),
                "accuracy": share(still),
                "newly_fooled": share(withstood[target] & ~still),
            }
