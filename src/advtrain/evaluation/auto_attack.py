"""AutoAttack (Croce and Hein 2020), by the package pyautoattack: four attacks, each on the images that withstood those before.

The package reseeds the global random generators and switches tracing off, so it runs in a separate process: only the
script of this evaluation imports this file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from advtrain.attacks.gradient import within_budget
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import correct_after
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, evaluation_row
from advtrain.fast.choice import frozen
from advtrain.networks.plain import predict
from advtrain.system.errors import InputError, check_not_negative

State = dict[str, Tensor]
"""By attack, whether each of the images that it has done so far is still robust; `clean` has them all."""

STAGES = {
    "apgd_ce": ("cross_entropy", 100),
    "apgd_t": ("targeted_dlr", 100),
    "fab_t": ("distance", 100),
    "square": ("margin", 5000),
}
"""Loss and iterations of the standard version's attacks, in their order; targeted ones try up to nine other classes."""
FEWEST_CLASSES = {"apgd_t": 4}
"""The targeted DLR loss is made of four logits."""


@dataclass(frozen=True, kw_only=True)
class AutoAttackSettings(OnTestImages):
    """AutoAttack on test images; APGD attacks all of them."""

    fab_square_examples: int
    """How many of them, the first, FAB and Square attack too."""
    batch_size: int
    """Images attacked at once. The package draws an image's start by its place in the batch, so the result depends on it."""
    seed: int
    """Draws the attacks' random starts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("seed", self.seed)
        if self.fab_square_examples > self.examples:
            raise InputError(
                f"fab_square_examples is {self.fab_square_examples}; it has to be at most {self.examples}, examples"
            )


def autoattack(
    model: nn.Module, data: Examples, settings: AutoAttackSettings, *, state: State, save: Callable[[State], None]
) -> Iterator[Row]:
    """Accuracy after each attack of AutoAttack and those before it; the last row, `autoattack`, is after all four.

    The model maps [B, C, H, W] to logits [B, K] on the data's device. `save` gets the state after each batch; a killed run
    that resumes from it, as `state`, ends with the same rows. An attack is left out where there are too few classes for it.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    package = AutoAttack(
        frozen(model.eval()), norm="Linf", eps=settings.epsilon, seed=settings.seed, version="standard", device=data.y.device
    )
    package.apgd_targeted.n_target_classes = package.fab.n_target_classes = min(9, data.classes - 1)
    state = state or {"clean": correct_after(model, data, lambda x, y: x, settings.batch_size).cpu()}
    standing = state["clean"]
    row = partial(evaluation_row, epsilon=settings.epsilon, step_size=None)
    for attack, (loss, iterations) in STAGES.items():
        if data.classes < FEWEST_CLASSES.get(attack, 2):
            continue
        package.attacks_to_run = [attack.replace("_", "-")]
        done = state.get(attack, standing[:0])
        attacked = settings.examples if attack.startswith("apgd") else settings.fab_square_examples
        for start in range(len(done), attacked, settings.batch_size):
            index = torch.arange(start, min(start + settings.batch_size, attacked))
            done = torch.cat([done, _withstands(package, data, index, standing[index])])
            save(state | {attack: done})
        state = state | {attack: done}
        standing = done
        yield row(attack, standing.numpy(), loss=loss, iterations=iterations)
    yield row("autoattack", standing.numpy(), loss="worst", iterations=0)


def _withstands(package: AutoAttack, data: Examples, index: Tensor, standing: Tensor) -> Tensor:
    """Whether the examples `index` that are still standing withstand the package's attack too; bool, [len(index)]."""
    left = index[standing].to(data.y.device)
    if len(left) == 0:
        return standing
    x, y = data.x[left], data.y[left]
    x_adv, _ = package.run_standard_evaluation(x, y, batch_size=len(left))
    fooled = (predict(package.model, x_adv).argmax(dim=1) != y) & within_budget(x_adv, x, package.epsilon)
    still = standing.clone()
    still[standing] = ~fooled.cpu()
    return still
