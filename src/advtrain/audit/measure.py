"""The audit's checks: each measures one number on a trained model. `criteria.CHECKS` says what it has to be, and why.

Sources: Carlini et al. 2019, "On evaluating adversarial robustness"; Athalye et al. 2018, "Obfuscated gradients"; Croce, Hein
2020 (AutoAttack); Pintor et al. 2022, "Indicators of attack failure".
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advtrain.attacks.gradient import input_gradient, project
from advtrain.attacks.pgd import Pgd
from advtrain.attacks.square import square
from advtrain.audit.finding import Finding, difference, share_of
from advtrain.data.examples import CLASSES, Examples
from advtrain.evaluation.outcomes import batches, share
from advtrain.evaluation.pgd import PgdSettings
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, unpack_outcomes
from advtrain.networks.plain import predict, predict_all
from advtrain.system.errors import check_at_least_one

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5)
CHANCE = 1 / CLASSES
ALONE = 32
"""Images that are also classified one by one."""


@dataclass(frozen=True, kw_only=True)
class Audit(OnTestImages):
    """What the checks attack a model with."""

    pgd: PgdSettings
    """The attack of the strong evaluation; the checks attack with one of its restarts and with variants of it."""
    trace_iterations: int
    """N of the BIM(N) whose every iterate was evaluated."""
    square_queries: int
    """Forward passes that Square Attack has for each image."""
    noise_draws: int
    """Draws of each kind of noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("trace_iterations", "square_queries", "noise_draws"):
            check_at_least_one(name, getattr(self, name))


@dataclass(frozen=True)
class AuditedModel:
    """A trained model with its evaluations, and what the checks attack it with."""

    network: nn.Module
    data: Examples
    """The images that PGD was evaluated on, n of them."""
    rows: list[Row]
    """Of the evaluation table, those of this model: one data set, one defense, one seed."""
    audit: Audit
    batch_size: int
    outcomes: dict[Pgd, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """Under variants of PGD so far; some checks share one."""

    @property
    def pgd(self) -> Pgd:
        """The attack of the strong evaluation."""
        return self.audit.pgd.attack(self.audit.epsilon, self.batch_size)

    def evaluated(self, attack: str, **where: str | int) -> NDArray[np.bool_]:
        """Outcomes of an evaluation that has been made, on all its images: the table's row where these columns are these."""
        wanted = {"attack": attack, **where}
        (row,) = [row for row in self.rows if all(row[column] == value for column, value in wanted.items())]
        return unpack_outcomes(row["outcomes"], row["examples"])

    def correct_after(self, pgd: Pgd) -> NDArray[np.bool_]:
        """Outcomes of one restart of a variant of PGD on the cross-entropy; PGD's own have been evaluated."""
        if pgd == self.pgd:
            return self.evaluated("pgd", loss="cross_entropy", restarts=1)
        once = replace(pgd, restarts=1)
        if once not in self.outcomes:
            self.outcomes[once] = once.attack(self.network, self.data, "cross_entropy").robust[-1].cpu().numpy()
        return self.outcomes[once]

    def logits(self, x: Tensor) -> Tensor:
        """The model's answers [n, K] to images [n, 1, 28, 28]."""
        return predict_all(self.network, x, self.batch_size)

    def batchwise(self, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `of` makes of all images and labels, batch by batch."""
        return torch.cat([of(x, y) for x, y in batches(self.data, self.batch_size)])

    def newly_fooled(self, attack: Callable[[Tensor, Tensor], Tensor]) -> Finding:
        """The images that withstood every restart of PGD on both losses, but not `attack`, which moves them all at once."""
        flags = self.evaluated("pgd", loss="worst")
        index = torch.from_numpy(flags.nonzero()[0]).to(self.data.y.device)
        if len(index):
            x, y = self.data.x[index], self.data.y[index]
            flags[flags] = (self.logits(attack(x, y)).argmax(dim=1) != y).cpu().numpy()
        return share_of(flags)


def stronger_single_step(model: AuditedModel) -> Finding:
    """How far accuracy under BIM(N) lies above that under FGSM, in standard errors of the latter."""
    n = model.audit.trace_iterations
    iterative, single = model.evaluated("bim", iterations=n, iterate=n), model.evaluated("fgsm")
    likely = (single.sum() + 1) / (len(single) + 2)
    error = math.sqrt(likely * (1 - likely) / len(single))
    return Finding(float(iterative.mean() - single.mean()) / error, 0.0, len(single))


def budget_not_monotone(model: AuditedModel) -> Finding:
    """Largest rise of accuracy from one budget to the next larger one, from 0 to 0.5."""
    path = [model.evaluated("clean"), *(model.correct_after(_with_budget(model.pgd, epsilon)) for epsilon in BUDGETS)]
    rises = [difference(after, before) for before, after in itertools.pairwise(path)]
    return max(rises, key=lambda rise: rise.value)


def above_chance_at_half(model: AuditedModel) -> Finding:
    """Accuracy above chance at epsilon 0.5, where every image can become the same grey one."""
    found = share_of(model.correct_after(_with_budget(model.pgd, 0.5)))
    return replace(found, value=found.value - CHANCE)


def above_zero_at_one(model: AuditedModel) -> Finding:
    """Accuracy at epsilon 1, where every image can become any other."""
    return share_of(model.correct_after(_with_budget(model.pgd, 1.0)))


def iterations_not_enough(model: AuditedModel) -> Finding:
    """Change of accuracy under one restart of PGD, to either side, when its iterations double at the same step."""
    return _change(model, _longer(model.pgd))


def step_size_matters(model: AuditedModel) -> Finding:
    """Largest change of accuracy under one restart of PGD, to either side, with two or four times the step."""
    return max((_change(model, variant) for variant in _other_steps(model.pgd)), key=lambda change: change.value)


def longer_pgd_better(model: AuditedModel) -> Finding:
    """Images that one restart of PGD with twice the iterations fools, and PGD with all its restarts and losses does not."""
    return model.newly_fooled(_one_restart(model, _longer(model.pgd)))


def other_step_better(model: AuditedModel) -> Finding:
    """The same with two or four times PGD's step, whichever fools more."""
    found = (model.newly_fooled(_one_restart(model, variant)) for variant in _other_steps(model.pgd))
    return max(found, key=lambda fooled: fooled.value)


def restarts_matter(model: AuditedModel) -> Finding:
    """Accuracy after one restart of PGD less that after all."""
    one, all_of_them = (model.evaluated("pgd", loss="cross_entropy", restarts=r) for r in (1, model.pgd.restarts))
    return difference(one, all_of_them)


def margin_loss_better(model: AuditedModel) -> Finding:
    """Accuracy under PGD on the cross-entropy less that on the margin, after all restarts."""
    entropy, margin = (model.evaluated("pgd", loss=loss, restarts=model.pgd.restarts) for loss in ("cross_entropy", "margin"))
    return difference(entropy, margin)


def gradient_free_better(model: AuditedModel) -> Finding:
    """Images that Square Attack fools and PGD does not."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return square(
            model.network,
            x,
            y,
            epsilon=model.pgd.epsilon,
            queries=model.audit.square_queries,
            generator=torch.Generator().manual_seed(model.pgd.seed),
            batch_size=model.batch_size,
        )

    return model.newly_fooled(attack)


def autoattack_better(model: AuditedModel) -> Finding:
    """Of the images that both attacked, those on which AutoAttack succeeds and PGD does not."""
    ours, theirs = model.evaluated("pgd", loss="worst"), model.evaluated("autoattack")
    both = min(len(ours), len(theirs))
    return share_of(ours[:both] > theirs[:both])


def noise_better(model: AuditedModel) -> Finding:
    """Images that uniform noise or noise of +-epsilon fools in some draw, and PGD does not."""
    generator = torch.Generator().manual_seed(model.pgd.seed)

    def worst_noise(x: Tensor, y: Tensor) -> Tensor:
        worst = x
        for _ in range(model.audit.noise_draws):
            uniform = 2 * torch.rand(x.shape, generator=generator).to(x) - 1
            for noise in (uniform, uniform.sign()):
                tried = project(x + model.pgd.epsilon * noise, x, model.pgd.epsilon)
                fooled = model.logits(tried).argmax(dim=1) != y
                worst = torch.where(fooled.view(-1, 1, 1, 1), tried, worst)
        return worst

    return model.newly_fooled(worst_noise)


def zero_gradients(model: AuditedModel) -> Finding:
    """Clean images whose input gradient is zero everywhere, NaN or infinite somewhere."""
    gradient = model.batchwise(lambda x, y: input_gradient(model.network, x, y)[0]).flatten(1)
    useless = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
    return share_of(useless.cpu().numpy())


def not_logits(model: AuditedModel) -> Finding:
    """Share of the outputs that are probabilities: none below 0, and 1 in all."""
    outputs = model.logits(model.data.x)
    return _exact(share((outputs >= 0).all(dim=1) & ((outputs.sum(dim=1) - 1).abs() < 1e-4)), model)


def not_deterministic(model: AuditedModel) -> Finding:
    """Largest difference between two forward passes on the same images."""
    return _exact((model.logits(model.data.x) - model.logits(model.data.x)).abs().max().item(), model)


def not_batch_invariant(model: AuditedModel) -> Finding:
    """Largest difference between logits of images alone and in a batch, relative to the largest logit."""
    x = model.data.x[:ALONE]
    together, alone = predict(model.network, x), torch.cat([predict(model.network, image) for image in x.split(1)])
    return Finding(((together - alone).abs().max() / together.abs().max()).item(), 0.0, len(x))


def label_leaking(model: AuditedModel) -> Finding:
    """Accuracy under FGSM less clean accuracy: an attack cannot help, unless its gradient gives the label away."""
    return difference(model.evaluated("fgsm"), model.evaluated("clean"))


def catastrophic_overfitting(model: AuditedModel) -> Finding:
    """Accuracy under FGSM less that under PGD, on the images that both attacked."""
    return difference(model.evaluated("fgsm"), model.evaluated("pgd", loss="worst"))


def silent_success(model: AuditedModel) -> Finding:
    """Images that some iterate of BIM(N) fools and the last one does not."""
    trace = [
        model.evaluated("bim", iterations=model.audit.trace_iterations, iterate=i)
        for i in range(model.audit.trace_iterations + 1)
    ]
    return share_of(np.logical_and.reduce(trace) < trace[-1])


def _exact(value: float, model: AuditedModel) -> Finding:
    return Finding(float(value), 0.0, len(model.data))


def _change(model: AuditedModel, variant: Pgd) -> Finding:
    """Change of accuracy under one restart, to either side."""
    change = difference(model.correct_after(model.pgd), model.correct_after(variant))
    return replace(change, value=abs(change.value))


def _one_restart(model: AuditedModel, pgd: Pgd) -> Callable[[Tensor, Tensor], Tensor]:
    """One restart of a variant of PGD on the cross-entropy, as an attack on some images."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return replace(pgd, restarts=1).attack(model.network, Examples(x, y), "cross_entropy").x_adv

    return attack


def _longer(pgd: Pgd) -> Pgd:
    return replace(pgd, iterations=2 * pgd.iterations)


def _other_steps(pgd: Pgd) -> list[Pgd]:
    """Larger steps: with half of it the whole walk could not cross the budget from one side to the other."""
    return [replace(pgd, step_size=factor * pgd.step_size) for factor in (2.0, 4.0)]


def _with_budget(pgd: Pgd, epsilon: float) -> Pgd:
    return pgd if epsilon == pgd.epsilon else replace(pgd, epsilon=epsilon, step_size=pgd.step_size * epsilon / pgd.epsilon)


MEASURES: dict[str, Callable[[AuditedModel], Finding]] = {
    measure.__name__: measure
    for measure in (
        stronger_single_step,
        budget_not_monotone,
        above_chance_at_half,
        above_zero_at_one,
        iterations_not_enough,
        step_size_matters,
        longer_pgd_better,
        other_step_better,
        restarts_matter,
        margin_loss_better,
        gradient_free_better,
        autoattack_better,
        noise_better,
        zero_gradients,
        not_logits,
        not_deterministic,
        not_batch_invariant,
        label_leaking,
        catastrophic_overfitting,
        silent_success,
    )
}
"""Every check of one model by name; transfer, which takes several models, is `transfer.transfer`."""
