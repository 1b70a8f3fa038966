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

from advtrain.accuracy import batches, share
from advtrain.attacks import bim, fgsm, input_gradient, predict, predict_all, project, within_budget
from advtrain.datasets import Examples
from advtrain.evaluation import Pgd
from advtrain.measured import Measured, difference, share_of
from advtrain.networks import CLASSES
from advtrain.results import Row, unpack_outcomes
from advtrain.square import square

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5)
CHANCE = 1 / CLASSES
ALONE = 32
"""Images that are also classified one by one."""


@dataclass(frozen=True)
class Subject:
    """A trained model with its evaluations, and what the checks attack it with."""

    model: nn.Module
    data: Examples
    """The images that PGD was evaluated on, n of them."""
    rows: list[Row]
    """Of the evaluation table, those of this model: one data set, one defense, one seed."""
    pgd: Pgd
    """The attack of the strong evaluation; the checks attack with one of its restarts and with variants of it."""
    iterations: int
    """N of the BIM(N) whose every iterate was evaluated."""
    square_queries: int
    noise_draws: int
    outcomes: dict[Pgd, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """Under variants of PGD so far; some checks share one."""

    def right(self, attack: str, **where: str | int) -> NDArray[np.bool_]:
        """Outcomes of an evaluation that has been made, on all its images: the table's row where these columns are these."""
        wanted = {"attack": attack, **where}
        (row,) = [row for row in self.rows if all(row[column] == value for column, value in wanted.items())]
        return unpack_outcomes(row["outcomes"], row["examples"])

    def right_under(self, pgd: Pgd) -> NDArray[np.bool_]:
        """Outcomes of one restart of a variant of PGD on the cross-entropy; PGD's own have been evaluated."""
        if pgd == self.pgd:
            return self.right("pgd", loss="cross_entropy", restarts=1)
        once = replace(pgd, restarts=1)
        if once not in self.outcomes:
            self.outcomes[once] = once.attack(self.model, self.data, "cross_entropy").robust[-1].cpu().numpy()
        return self.outcomes[once]

    def logits(self, x: Tensor) -> Tensor:
        """The model's answers [n, K] to images [n, 1, 28, 28]."""
        return predict_all(self.model, x, self.pgd.batch_size)

    def batchwise(self, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `of` makes of all images and labels, batch by batch."""
        return torch.cat([of(x, y) for x, y in batches(self.data, self.pgd.batch_size)])

    def newly_fooled(self, attack: Callable[[Tensor, Tensor], Tensor]) -> Measured:
        """The images that withstood every restart of PGD on both losses, but not `attack`, which moves them all at once."""
        flags = self.right("pgd", loss="worst")
        index = torch.from_numpy(flags.nonzero()[0]).to(self.data.y.device)
        if len(index):
            x, y = self.data.x[index], self.data.y[index]
            flags[flags] = (self.logits(attack(x, y)).argmax(dim=1) != y).cpu().numpy()
        return share_of(flags)


def stronger_single_step(subject: Subject) -> Measured:
    """How far accuracy under BIM(N) lies above that under FGSM, in standard errors of the latter."""
    iterative, single = subject.right("bim", iterations=subject.iterations, iterate=subject.iterations), subject.right("fgsm")
    likely = (single.sum() + 1) / (len(single) + 2)
    error = math.sqrt(likely * (1 - likely) / len(single))
    return Measured(float(iterative.mean() - single.mean()) / error, 0.0, len(single))


def budget_not_monotone(subject: Subject) -> Measured:
    """Largest rise of accuracy from one budget to the next larger one, from 0 to 0.5."""
    path = [subject.right("clean"), *(subject.right_under(_with_budget(subject.pgd, epsilon)) for epsilon in BUDGETS)]
    rises = [difference(after, before) for before, after in itertools.pairwise(path)]
    return max(rises, key=lambda rise: rise.value)


def above_chance_at_half(subject: Subject) -> Measured:
    """Accuracy above chance at epsilon 0.5, where every image can become the same grey one."""
    found = share_of(subject.right_under(_with_budget(subject.pgd, 0.5)))
    return replace(found, value=found.value - CHANCE)


def above_zero_at_one(subject: Subject) -> Measured:
    """Accuracy at epsilon 1, where every image can become any other."""
    return share_of(subject.right_under(_with_budget(subject.pgd, 1.0)))


def iterations_not_enough(subject: Subject) -> Measured:
    """Change of accuracy under one restart of PGD, to either side, when its iterations double at the same step."""
    return _change(subject, _longer(subject.pgd))


def step_size_matters(subject: Subject) -> Measured:
    """Largest change of accuracy under one restart of PGD, to either side, with two or four times the step."""
    return max((_change(subject, variant) for variant in _other_steps(subject.pgd)), key=lambda change: change.value)


def longer_pgd_better(subject: Subject) -> Measured:
    """Images that one restart of PGD with twice the iterations fools, and PGD with all its restarts and losses does not."""
    return subject.newly_fooled(_one_restart(subject, _longer(subject.pgd)))


def other_step_better(subject: Subject) -> Measured:
    """The same with two or four times PGD's step, whichever fools more."""
    found = (subject.newly_fooled(_one_restart(subject, variant)) for variant in _other_steps(subject.pgd))
    return max(found, key=lambda fooled: fooled.value)


def restarts_matter(subject: Subject) -> Measured:
    """Accuracy after one restart of PGD less that after all."""
    one, all_of_them = (subject.right("pgd", loss="cross_entropy", restarts=r) for r in (1, subject.pgd.restarts))
    return difference(one, all_of_them)


def margin_loss_better(subject: Subject) -> Measured:
    """Accuracy under PGD on the cross-entropy less that on the margin, after all restarts."""
    entropy, margin = (subject.right("pgd", loss=loss, restarts=subject.pgd.restarts) for loss in ("cross_entropy", "margin"))
    return difference(entropy, margin)


def gradient_free_better(subject: Subject) -> Measured:
    """Images that Square Attack fools and PGD does not."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return square(
            subject.model,
            x,
            y,
            epsilon=subject.pgd.epsilon,
            queries=subject.square_queries,
            generator=torch.Generator().manual_seed(subject.pgd.seed),
            batch_size=subject.pgd.batch_size,
        )

    return subject.newly_fooled(attack)


def autoattack_better(subject: Subject) -> Measured:
    """Of the images that both attacked, those on which AutoAttack succeeds and PGD does not."""
    ours, theirs = subject.right("pgd", loss="worst"), subject.right("autoattack")
    both = min(len(ours), len(theirs))
    return share_of(ours[:both] > theirs[:both])


def noise_better(subject: Subject) -> Measured:
    """Images that uniform noise or noise of +-epsilon fools in some draw, and PGD does not."""
    generator = torch.Generator().manual_seed(subject.pgd.seed)

    def worst_noise(x: Tensor, y: Tensor) -> Tensor:
        worst = x
        for _ in range(subject.noise_draws):
            uniform = 2 * torch.rand(x.shape, generator=generator).to(x) - 1
            for noise in (uniform, uniform.sign()):
                tried = project(x + subject.pgd.epsilon * noise, x, subject.pgd.epsilon)
                fooled = subject.logits(tried).argmax(dim=1) != y
                worst = torch.where(fooled.view(-1, 1, 1, 1), tried, worst)
        return worst

    return subject.newly_fooled(worst_noise)


def zero_gradients(subject: Subject) -> Measured:
    """Clean images whose input gradient is zero everywhere, NaN or infinite somewhere."""
    gradient = subject.batchwise(lambda x, y: input_gradient(subject.model, x, y)[0]).flatten(1)
    useless = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
    return share_of(useless.cpu().numpy())


def not_logits(subject: Subject) -> Measured:
    """Share of the outputs that are probabilities: none below 0, and 1 in all."""
    outputs = subject.logits(subject.data.x)
    return _exact(share((outputs >= 0).all(dim=1) & ((outputs.sum(dim=1) - 1).abs() < 1e-4)), subject)


def not_deterministic(subject: Subject) -> Measured:
    """Largest difference between two forward passes on the same images."""
    return _exact((subject.logits(subject.data.x) - subject.logits(subject.data.x)).abs().max().item(), subject)


def not_batch_invariant(subject: Subject) -> Measured:
    """Largest difference between logits of images alone and in a batch, relative to the largest logit."""
    x = subject.data.x[:ALONE]
    together, alone = predict(subject.model, x), torch.cat([predict(subject.model, image) for image in x.split(1)])
    return Measured(((together - alone).abs().max() / together.abs().max()).item(), 0.0, len(x))


def label_leaking(subject: Subject) -> Measured:
    """Accuracy under FGSM less clean accuracy: an attack cannot help, unless its gradient gives the label away."""
    return difference(subject.right("fgsm"), subject.right("clean"))


def catastrophic_overfitting(subject: Subject) -> Measured:
    """Accuracy under FGSM less that under PGD, on the images that both attacked."""
    return difference(subject.right("fgsm"), subject.right("pgd", loss="worst"))


def silent_success(subject: Subject) -> Measured:
    """Images that some iterate of BIM(N) fools and the last one does not."""
    trace = [subject.right("bim", iterations=subject.iterations, iterate=i) for i in range(subject.iterations + 1)]
    return share_of(np.logical_and.reduce(trace) < trace[-1])


def outside_domain(subject: Subject) -> Measured:
    """Number of adversarial examples of FGSM, BIM(N) and PGD outside [0, 1] or the budget, not finite, or not float32."""
    single = subject.batchwise(lambda x, y: fgsm(subject.model, x, y, epsilon=subject.pgd.epsilon))
    worst = replace(subject.pgd, restarts=1).attack(subject.model, subject.data, "margin").x_adv
    wrong = torch.zeros_like(subject.data.y, dtype=torch.bool)
    for x_adv in (single, _bim(subject), worst):
        wrong |= ~within_budget(x_adv, subject.data.x, subject.pgd.epsilon) | (x_adv.dtype != torch.float32)
    return _exact(int(wrong.sum().item()), subject)


def budget_not_reached(subject: Subject) -> Measured:
    """Share of epsilon that BIM(N) leaves unused even on the pixel that it moves most: N steps have to be N."""
    reached = (_bim(subject) - subject.data.x).abs().max().item()
    return _exact(max(0.0, 1 - reached / subject.pgd.epsilon), subject)


def _exact(value: float, subject: Subject) -> Measured:
    return Measured(float(value), 0.0, len(subject.data))


def _change(subject: Subject, variant: Pgd) -> Measured:
    """Change of accuracy under one restart, to either side."""
    change = difference(subject.right_under(subject.pgd), subject.right_under(variant))
    return replace(change, value=abs(change.value))


def _one_restart(subject: Subject, pgd: Pgd) -> Callable[[Tensor, Tensor], Tensor]:
    """One restart of a variant of PGD on the cross-entropy, as an attack on some images."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return replace(pgd, restarts=1).attack(subject.model, Examples(x, y), "cross_entropy").x_adv

    return attack


def _longer(pgd: Pgd) -> Pgd:
    return replace(pgd, iterations=2 * pgd.iterations)


def _other_steps(pgd: Pgd) -> list[Pgd]:
    """Larger steps: with half of it the whole walk could not cross the budget from one side to the other."""
    return [replace(pgd, step_size=factor * pgd.step_size) for factor in (2.0, 4.0)]


def _bim(subject: Subject) -> Tensor:
    budget = {"epsilon": subject.pgd.epsilon, "step_size": subject.pgd.epsilon / subject.iterations}
    return subject.batchwise(lambda x, y: bim(subject.model, x, y, **budget, iterations=subject.iterations))


def _with_budget(pgd: Pgd, epsilon: float) -> Pgd:
    return pgd if epsilon == pgd.epsilon else replace(pgd, epsilon=epsilon, step_size=pgd.step_size * epsilon / pgd.epsilon)


MEASURES: dict[str, Callable[[Subject], Measured]] = {
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
        outside_domain,
        budget_not_reached,
    )
}
"""Every check of one model by name; transfer, which takes several models, is `transfer.transfer`."""
