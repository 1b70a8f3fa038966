"""The audit's checks: each measures one number on a trained model. `criteria.CHECKS` says what it has to be, and why.

Sources: Carlini et al. 2019, "On evaluating adversarial robustness"; Athalye et al. 2018, "Obfuscated gradients"; Croce, Hein
2020 (AutoAttack); Pintor et al. 2022, "Indicators of attack failure".
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advtrain.attacks.gradient import bim_steps, exact_cross_entropy, input_gradient, project
from advtrain.attacks.pgd import Pgd
from advtrain.attacks.square import square
from advtrain.audit.finding import Finding, difference, share_of
from advtrain.data.examples import Examples
from advtrain.evaluation.outcomes import batches, correct_after, share
from advtrain.evaluation.pgd import PgdSettings
from advtrain.evaluation.settings import OnTestImages
from advtrain.evaluation.table import Row, evaluation_row, unpack_outcomes
from advtrain.networks.plain import predict, predict_all

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Over which accuracy has to fall."""


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


@dataclass(frozen=True)
class AuditedModel:
    """A trained model with its evaluations, and what the checks attack it with."""

    network: nn.Module
    data: Examples
    """The images that the checks attack, n of them: the first of those that PGD was evaluated on, or all."""
    rows: list[Row]
    """The evaluation table of this model: one data set, one defense, one seed."""
    audit: Audit
    batch_size: int
    outcomes: dict[Pgd, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """Under variants of PGD so far; some checks share one."""
    withstood: dict[str, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """By attack of the audit so far, the images that withstood all restarts of PGD on both losses, and then this one too."""

    @property
    def pgd(self) -> Pgd:
        """The attack of the strong evaluation."""
        return self.pgd_at(self.audit.epsilon)

    def pgd_at(self, epsilon: float) -> Pgd:
        """The same attack with another budget, and steps in proportion."""
        return self.audit.pgd.attack(epsilon, self.batch_size)

    def evaluated(self, attack: str, **where: str | int) -> NDArray[np.bool_]:
        """Outcomes of an evaluation that has been made, on all its images: the table's row where these columns are these."""
        wanted = {"attack": attack, **where}
        (row,) = [row for row in self.rows if wanted.items() <= row.items()]
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
        """The model's answers [n, K] to images [n, C, H, W]."""
        return predict_all(self.network, x, self.batch_size)

    def attack_rows(self) -> list[Row]:
        """What `withstood` holds, as rows of the evaluation table."""
        rows = self.withstood.items()
        return [evaluation_row(name, right, epsilon=self.audit.epsilon, step_size=None, iterations=0) for name, right in rows]

    def newly_fooled(self, name: str, attack: Callable[[Tensor, Tensor], Tensor]) -> Finding:
        """The images that withstood every restart of PGD on both losses, but not `attack`, which moves them all at once."""
        standing = self.evaluated("pgd", loss="worst")[: len(self.data)]
        still = self.withstood[name] = standing.copy()
        index = torch.from_numpy(standing.nonzero()[0]).to(self.data.y.device)
        if len(index):
            x, y = self.data.x[index], self.data.y[index]
            still[standing] = (self.logits(attack(x, y)).argmax(dim=1) == y).cpu().numpy()
        return share_of(standing & ~still)


def stronger_single_step(model: AuditedModel) -> Finding:
    """How far accuracy under BIM(N) lies above that under FGSM, in standard errors of the latter."""
    n = model.audit.trace_iterations
    iterative, single = model.evaluated("bim", iterations=n, iterate=n), model.evaluated("fgsm")
    likely = (single.sum() + 1) / (len(single) + 2)
    error = math.sqrt(likely * (1 - likely) / len(single))
    return Finding(float(iterative.mean() - single.mean()) / error, 0.0, len(single))


def precision(model: AuditedModel) -> Finding:
    """Accuracy under FGSM or BIM(N) less that under the same attack with an exact gradient, whichever is more."""
    n = model.audit.trace_iterations
    evaluated = ((1, model.evaluated("fgsm")), (n, model.evaluated("bim", iterations=n, iterate=n)))
    return _largest(difference(plain, _right_after_exact_bim(model, steps)) for steps, plain in evaluated)


def budget_not_monotone(model: AuditedModel) -> Finding:
    """Largest rise of accuracy from one budget to the next larger one, from 0 to 0.5, with some near the classifier's own."""
    own = model.audit.epsilon
    budgets = sorted({*BUDGETS, *((own / 2, own, 2 * own) if own < BUDGETS[0] else ())})
    path = [model.evaluated("clean"), *(model.correct_after(model.pgd_at(epsilon)) for epsilon in budgets)]
    return _largest(difference(after, before) for before, after in itertools.pairwise(path))


def above_chance_at_half(model: AuditedModel) -> Finding:
    """Accuracy above that of always answering the commonest label, at epsilon 0.5: every image can become the same grey one."""
    found = share_of(model.correct_after(model.pgd_at(0.5)))
    return replace(found, value=found.value - model.data.chance)


def above_zero_at_one(model: AuditedModel) -> Finding:
    """Accuracy at epsilon 1, where every image can become any other."""
    return share_of(model.correct_after(model.pgd_at(1.0)))


def iterations_not_enough(model: AuditedModel) -> Finding:
    """Change of accuracy under one restart of PGD, to either side, when its iterations double from the same first step on."""
    return _change(model, replace(model.pgd, iterations=2 * model.pgd.iterations))


def step_size_matters(model: AuditedModel) -> Finding:
    """Largest change of accuracy under one restart of PGD, to either side, with half or twice the step."""
    return _largest(_change(model, variant) for variant in _other_steps(model.pgd))


def longer_pgd_better(model: AuditedModel) -> Finding:
    """Images that one restart of PGD with twice the iterations fools, and PGD with all its restarts and losses does not."""
    return _newly_fooled_by(model, "longer_pgd_after_pgd", replace(model.pgd, iterations=2 * model.pgd.iterations))


def other_step_better(model: AuditedModel) -> Finding:
    """The same with half or twice PGD's step, whichever fools more."""
    names = ("half_step_after_pgd", "twice_step_after_pgd")
    return _largest(_newly_fooled_by(model, *variant) for variant in zip(names, _other_steps(model.pgd), strict=True))


def restarts_matter(model: AuditedModel) -> Finding:
    """Accuracy after one restart of PGD less that after all."""
    once, all_of_them = (model.evaluated("pgd", loss="cross_entropy", restarts=r) for r in (1, model.pgd.restarts))
    return difference(once, all_of_them)


def margin_loss_better(model: AuditedModel) -> Finding:
    """Accuracy under PGD on the cross-entropy less that on the margin, after all restarts."""
    cross_entropy, margin = (
        model.evaluated("pgd", loss=loss, restarts=model.pgd.restarts) for loss in ("cross_entropy", "margin")
    )
    return difference(cross_entropy, margin)


def gradient_free_better(model: AuditedModel) -> Finding:
    """Images that Square Attack fools and PGD does not."""
    attack = partial(
        square,
        model.network,
        epsilon=model.pgd.epsilon,
        queries=model.audit.square_queries,
        generator=torch.Generator().manual_seed(model.pgd.seed),
        batch_size=model.batch_size,
    )
    return model.newly_fooled("square_after_pgd", attack)


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

    return model.newly_fooled("noise_after_pgd", worst_noise)


def zero_gradients(model: AuditedModel) -> Finding:
    """Clean images whose input gradient is zero everywhere, NaN or infinite somewhere."""
    gradients = [input_gradient(model.network, x, y)[0] for x, y in batches(model.data, model.batch_size)]
    gradient = torch.cat(gradients).flatten(1)
    useless = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
    return share_of(useless.cpu().numpy())


def not_logits(model: AuditedModel) -> Finding:
    """Share of the outputs that are probabilities: none below 0, and 1 in all."""
    outputs = model.logits(model.data.x)
    return Finding(share((outputs >= 0).all(dim=1) & ((outputs.sum(dim=1) - 1).abs() < 1e-4)), 0.0, len(model.data))


def not_deterministic(model: AuditedModel) -> Finding:
    """Largest difference between two forward passes on the same images."""
    once, again = model.logits(model.data.x), model.logits(model.data.x)
    return Finding((once - again).abs().max().item(), 0.0, len(model.data))


def not_batch_invariant(model: AuditedModel) -> Finding:
    """Largest difference between logits of images (the first 32) alone and in a batch, relative to the largest logit."""
    x = model.data.x[:32]
    together, alone = predict(model.network, x), predict_all(model.network, x, 1)
    return Finding(((together - alone).abs().max() / together.abs().max()).item(), 0.0, len(x))


def label_leaking(model: AuditedModel) -> Finding:
    """Accuracy under FGSM less clean accuracy: an attack cannot help, unless its gradient gives the label away."""
    return difference(model.evaluated("fgsm"), model.evaluated("clean"))


def catastrophic_overfitting(model: AuditedModel) -> Finding:
    """Accuracy under FGSM less that under PGD, on the images that both attacked."""
    return difference(model.evaluated("fgsm"), model.evaluated("pgd", loss="worst"))


def silent_success(model: AuditedModel) -> Finding:
    """Images that some iterate of BIM(N) fools and the last one does not."""
    n = model.audit.trace_iterations
    trace = [model.evaluated("bim", iterations=n, iterate=i) for i in range(n + 1)]
    return share_of(np.logical_and.reduce(trace) < trace[-1])


MEASURES: dict[str, Callable[[AuditedModel], Finding]] = {
    name: function
    for name, function in list(globals().items())
    if inspect.isfunction(function) and function.__module__ == __name__
}
"""Every check of one model by name: the functions above. Transfer takes several models: `transferability.transfer`."""


State = dict[str, Any]
"""`findings`, the fields of each `Finding` by check; and `withstood`, as an `AuditedModel` has it, but tensors."""


def measure_all(model: AuditedModel, *, state: State, save: Callable[[State], None]) -> Iterator[tuple[str, Finding]]:
    """Each check of one model, with what it found. `save` gets the state after each; a run resumes from one, as `state`."""
    findings = dict(state.get("findings", {}))
    model.withstood.update({name: right.numpy() for name, right in state.get("withstood", {}).items()})
    for check, measure in MEASURES.items():
        if check not in findings:
            findings[check] = asdict(measure(model))
            withstood = {name: torch.from_numpy(right) for name, right in model.withstood.items()}
            save({"findings": dict(findings), "withstood": withstood})
        yield check, Finding(**findings[check])


def _right_after_exact_bim(model: AuditedModel, iterations: int) -> NDArray[np.bool_]:
    """Outcomes of BIM(N) on `exact_cross_entropy`, N = `iterations`; with one it is FGSM."""
    budget = {"epsilon": model.audit.epsilon, "step_size": model.audit.epsilon / iterations}

    def attack(x: Tensor, y: Tensor) -> Tensor:
        *_, (x_adv, _) = bim_steps(model.network, x, y, **budget, iterations=iterations, loss=exact_cross_entropy)
        return x_adv

    return correct_after(model.network, model.data, attack, model.batch_size).cpu().numpy()


def _other_steps(pgd: Pgd) -> list[Pgd]:
    return [replace(pgd, step_size=factor * pgd.step_size) for factor in (0.5, 2.0)]


def _change(model: AuditedModel, variant: Pgd) -> Finding:
    """Change of accuracy under one restart, to either side."""
    change = difference(model.correct_after(model.pgd), model.correct_after(variant))
    return replace(change, value=abs(change.value))


def _newly_fooled_by(model: AuditedModel, name: str, variant: Pgd) -> Finding:
    once = replace(variant, restarts=1)
    return model.newly_fooled(
        name, lambda x, y: once.attack(model.network, replace(model.data, x=x, y=y), "cross_entropy").x_adv
    )


def _largest(findings: Iterable[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.value)
