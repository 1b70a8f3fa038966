"""Transfer: adversarial examples of one model on another (Papernot et al. 2016; Carlini et al. 2019, Section 4)."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from advtrain.attacks.pgd import Pgd
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import batches, share
from advtrain.evaluation.table import FLOAT, INT, STRING
from advtrain.fast.choice import in_training
from advtrain.networks.plain import predict_all

ANY = "any other"
"""The source that stands for all other models together."""

MATRIX_SCHEMA = pa.schema(
    {"dataset": STRING, "seed": INT, "source": STRING, "target": STRING}
    | {"examples": INT, "accuracy": FLOAT, "newly_fooled": FLOAT}
)
"""Columns of the transfer matrix, one row for each seed, source and target."""


def transfer(
    models: Mapping[str, nn.Module], withstood: Mapping[str, Tensor], data: Examples, pgd: Pgd
) -> Iterator[dict[str, Any]]:
    """Accuracy of each model under the adversarial examples of each, and how many of them its own attack had missed.

    The examples are the last iterates of `pgd`'s steps from the clean images, not stopped when they fool: what has just crossed
    one model's boundary seldom crosses another's. `withstood` says for each model whether an image withstood every white-box
    attack on it; bool, [n]. Yields for each source and target `source`, `target`, `examples`, `accuracy`, `newly_fooled`, the
    share of images that withstood the attacks on the target itself, and `right`, whether the target is right about each image,
    bool [n]; for each target also of all others together, `ANY`.
    """
    right: dict[tuple[str, str], Tensor] = {}
    for source, attacked in models.items():
        x_adv = torch.cat([pgd.walk(attacked, x, y) for x, y in batches(data, pgd.batch_size)])
        for target, model in models.items():
            right[source, target] = predict_all(in_training(model), x_adv, pgd.batch_size).argmax(dim=1) == data.y
    for target in models:
        of_target = {source: right[source, target] for source in models}
        of_others = [torch.ones_like(withstood[target]), *(right[source, target] for source in models if source != target)]
        for source, still in {**of_target, ANY: torch.stack(of_others).all(dim=0)}.items():
            yield {
                "source": source,
                "target": target,
                "examples": len(data),
                "accuracy": share(still),
                "newly_fooled": share(withstood[target] & ~still),
                "right": still.cpu().numpy(),
            }
