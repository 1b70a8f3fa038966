"""The audit's checks: each measures one number on a trained model. `criteria.CHECKS` says what it has to be, and why.

Sources: Carlini et al. 2019, "On evaluating adversarial robustness"; Athalye et al. 2018, "Obfuscated gradients"; Croce, Hein
2020 (AutoAttack); Pintor et al. 2022, "Indicators of attack failure".
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advtrain.accuracy import batches, share
from advtrain.attacks import bim, fgsm, input_gradient, predict, project
from advtrain.datasets import Examples
from advtrain.evaluation import Pgd
from advtrain.results import unpack_outcomes
from advtrain.square import square

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5)
CHANCE = 0.1
TOLERANCE = 1e-6
"""What rounding may add to epsilon: float32(0.3) is above 0.3."""
ALONE = 32
"""Images that are also classified one by one."""


@dataclass(frozen=True)
class Subject:
    """A trained model with its evaluations, and what the checks attack it with."""

    model: nn.Module
    data: Examples
    """The images that PGD was evaluated on, n of them."""
    rows: pd.DataFrame
    """The evaluation table of this model: one data set, one defense, one seed."""
    pgd: Pgd
    """The attack of the strong evaluation; the checks attack with one of its restarts and with variants of it."""
    iterations: int
    """N of the BIM(N) whose every iterate was evaluated."""
    square_queries: int
    noise_draws: int
    accuracies: dict[Pgd, float] = field(default_factory=dict, init=False, repr=False)
    """Under variants of PGD so far; some checks share one."""

    def accuracy(self, pgd: Pgd) -> float:
        """Accuracy under one restart of a variant of PGD on the cross-entropy."""
        once = replace(pgd, restarts=1)
        if once not in self.accuracies:
            attacked = once.attack(self.model, self.data, "cross_entropy")
            self.accuracies[once] = share(attacked.robust[-1])
        return self.accuracies[once]

    def examples(self, check: str) -> int:
        """Number of images that a check is about."""
        return min(len(self.data), len(self.right("autoattack"))) if check == "autoattack_better" else len(self.data)

    def logits(self, x: Tensor) -> Tensor:
        """The model's answers [n, K] to images [n, 1, 28, 28]."""
        return torch.cat([predict(self.model, batch) for batch in x.split(self.pgd.batch_size)])

    def batchwise(self, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `of` makes of all images and labels, batch by batch."""
        return torch.cat([of(x, y) for x, y in batches(self.data, self.pgd.batch_size)])

    def right(self, attack: str, **where: str | int) -> NDArray[np.bool_]:
        """Outcomes of an evaluation that has been made, on all its images: the table's row where these columns are these."""
        chosen = self.rows[self.rows["attack"] == attack]
        for column, value in where.items():
            chosen = chosen[chosen[column] == value]
        (row,) = chosen.to_dict("records")
        return unpack_outcomes(row["outcomes"], row["examples"])

    def withstood(self) -> Examples | None:
        """The images that withstood every restart of PGD on both losses, if any."""
        index = torch.from_numpy(self.right("pgd", loss="worst").nonzero()[0]).to(self.data.y.device)
        return Examples(self.data.x[index], self.data.y[index]) if len(index) else None

    def newly_fooled(self, pgd: Pgd) -> float:
        """Share of all images that withstood PGD but not one restart of a variant of it on the cross-entropy."""
        left = self.withstood()
        if left is None:
            return 0.0
        return int((~replace(pgd, restarts=1).attack(self.model, left, "cross_entropy").robust[-1]).sum()) / len(self.data)

    def newly_fooled_by(self, attack: Callable[[Tensor, Tensor], Tensor]) -> float:
        """Share of all images that withstood PGD but not `attack`, which moves them all at once within the same budget."""
        left = self.withstood()
        if left is None:
            return 0.0
        return int((self.logits(attack(left.x, left.y)).argmax(dim=1) != left.y).sum()) / len(self.data)


def stronger_single_step(subject: Subject) -> float:
    """How far accuracy under BIM(N) lies above that under FGSM, in standard errors."""
    iterative, single = subject.right("bim", iterations=subject.iterations, iterate=subject.iterations), subject.right("fgsm")
    share = (single.sum() + 1) / (len(single) + 2)
    return float((iterative.mean() - single.mean()) / math.sqrt(share * (1 - share) / len(single)))


def budget_not_monotone(subject: Subject) -> float:
    """Largest rise of accuracy from one budget to the next larger one, from 0 to 0.5."""
    clean = float(subject.right("clean")[: len(subject.data)].mean())
    path = [clean, *(subject.accuracy(_with_budget(subject.pgd, epsilon)) for epsilon in BUDGETS)]
    return max(after - before for before, after in itertools.pairwise(path))


def above_chance_at_half(subject: Subject) -> float:
    """Accuracy above chance at epsilon 0.5, where every image can become the same grey one."""
    return subject.accuracy(_with_budget(subject.pgd, 0.5)) - CHANCE


def above_zero_at_one(subject: Subject) -> float:
    """Accuracy at epsilon 1, where every image can become any other."""
    return subject.accuracy(_with_budget(subject.pgd, 1.0))


def iterations_not_enough(subject: Subject) -> float:
    """Share of the images that one restart of PGD with twice the iterations fools, and PGD with all its restarts does not."""
    return subject.newly_fooled(replace(subject.pgd, iterations=2 * subject.pgd.iterations))


def step_size_matters(subject: Subject) -> float:
    """The same share with half or twice PGD's step, whichever is larger."""
    return max(subject.newly_fooled(replace(subject.pgd, step_size=factor * subject.pgd.step_size)) for factor in (0.5, 2.0))


def restarts_matter(subject: Subject) -> float:
    """Accuracy after one restart of PGD less that after all."""
    one, all_of_them = (subject.right("pgd", loss="cross_entropy", restarts=r) for r in (1, subject.pgd.restarts))
    return float(one.mean() - all_of_them.mean())


def margin_loss_better(subject: Subject) -> float:
    """Accuracy under PGD on the cross-entropy less that on the margin, after all restarts."""
    entropy, margin = (subject.right("pgd", loss=loss, restarts=subject.pgd.restarts) for loss in ("cross_entropy", "margin"))
    return float(entropy.mean() - margin.mean())


def gradient_free_better(subject: Subject) -> float:
    """Share of the images that Square Attack fools and PGD does not."""

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

    return subject.newly_fooled_by(attack)


def autoattack_better(subject: Subject) -> float:
    """Share of the images that both attacked on which AutoAttack succeeds and PGD does not."""
    ours, theirs = subject.right("pgd", loss="worst"), subject.right("autoattack")
    both = min(len(ours), len(theirs))
    return float((ours[:both] > theirs[:both]).mean())


def noise_better(subject: Subject) -> float:
    """Share of the images that uniform noise or noise of +-epsilon fools in some draw, and PGD does not."""
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

    return subject.newly_fooled_by(worst_noise)


def zero_gradients(subject: Subject) -> float:
    """Share of the clean images whose input gradient is zero everywhere, NaN or infinite somewhere."""
    gradient = subject.batchwise(lambda x, y: input_gradient(subject.model, x, y)[0]).flatten(1)
    useless = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
    return share(useless)


def not_logits(subject: Subject) -> float:
    """Share of the outputs that are probabilities: none below 0, and 1 in all."""
    outputs = subject.logits(subject.data.x)
    return share((outputs >= 0).all(dim=1) & ((outputs.sum(dim=1) - 1).abs() < 1e-4))


def not_deterministic(subject: Subject) -> float:
    """Largest difference between two forward passes on the same images."""
    return (subject.logits(subject.data.x) - subject.logits(subject.data.x)).abs().max().item()


def not_batch_invariant(subject: Subject) -> float:
    """Largest difference between logits of images alone and in a batch, relative to the largest logit."""
    x = subject.data.x[:ALONE]
    together, alone = predict(subject.model, x), torch.cat([predict(subject.model, image) for image in x.split(1)])
    return ((together - alone).abs().max() / together.abs().max()).item()


def label_leaking(subject: Subject) -> float:
    """Accuracy under FGSM less clean accuracy: an attack cannot help, unless its gradient gives the label away."""
    return float(subject.right("fgsm").mean() - subject.right("clean").mean())


def catastrophic_overfitting(subject: Subject) -> float:
    """Accuracy under FGSM less that under one restart of PGD, on the same images."""
    one = subject.right("pgd", loss="cross_entropy", restarts=1)
    return float(subject.right("fgsm")[: len(one)].mean() - one.mean())


def silent_success(subject: Subject) -> float:
    """Share of the images that some iterate of BIM(N) fools and the last one does not."""
    trace = [subject.right("bim", iterations=subject.iterations, iterate=i) for i in range(subject.iterations + 1)]
    return float((np.logical_and.reduce(trace) < trace[-1]).mean())


def outside_domain(subject: Subject) -> float:
    """Adversarial examples of FGSM, BIM(N) and PGD outside [0, 1] or the budget, not finite, or not float32."""
    x = subject.data.x
    single = subject.batchwise(lambda x, y: fgsm(subject.model, x, y, epsilon=subject.pgd.epsilon))
    worst = replace(subject.pgd, restarts=1).attack(subject.model, subject.data, "margin").x_adv
    wrong = torch.zeros_like(subject.data.y, dtype=torch.bool)
    for x_adv in (single, _bim(subject), worst):
        inside = (x_adv >= 0) & (x_adv <= 1) & ((x_adv - x).abs() <= subject.pgd.epsilon + TOLERANCE)
        wrong |= ~inside.flatten(1).all(dim=1) | (x_adv.dtype != torch.float32)
    return float(wrong.sum().item())


def budget_not_reached(subject: Subject) -> float:
    """Share of epsilon that BIM(N) leaves unused even on the pixel that it moves most: N steps have to be N."""
    return max(0.0, 1 - ((_bim(subject) - subject.data.x).abs().max() / subject.pgd.epsilon).item())


def _bim(subject: Subject) -> Tensor:
    budget = {"epsilon": subject.pgd.epsilon, "step_size": subject.pgd.epsilon / subject.iterations}
    return subject.batchwise(lambda x, y: bim(subject.model, x, y, **budget, iterations=subject.iterations))


def _with_budget(pgd: Pgd, epsilon: float) -> Pgd:
    return replace(pgd, epsilon=epsilon, step_size=pgd.step_size * epsilon / pgd.epsilon)


MEASURES: dict[str, Callable[[Subject], float]] = {
    measure.__name__: measure
    for measure in (
        stronger_single_step,
        budget_not_monotone,
        above_chance_at_half,
        above_zero_at_one,
        iterations_not_enough,
        step_size_matters,
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
