"""What each check of the audit has to give, and why. The numbers come from `audit.measure` and `transferability`.

A verdict is pass or fail; or warn, where a share of images is beyond its threshold by at most two of its standard errors, so
that other images might have passed.
"""

from dataclasses import dataclass

PASS, WARN, FAIL = "pass", "warn", "fail"
DOUBTED = WEAK_ATTACKS, PGD, EVERY_ATTACK = "attacks of one start", "PGD", "every attack"
"""What a failure can cast doubt on. Attacks of one start are in doubt without one; PGD is the worst case of its restarts."""


@dataclass(frozen=True)
class Check:
    """A check: its value must not exceed the threshold, or must stay below it if `strict`."""

    name: str
    title: str
    threshold: float
    doubts: str
    """One of `DOUBTED`."""
    rule: str
    why: str
    strict: bool = False
    unit: str = "points"
    """`points` of percent, of the images (the value is a fraction); else a plain number."""

    @property
    def problem(self) -> str:
        """What is wrong with a model that fails."""
        return self.name.replace("_", " ")

    def verdict(self, value: float, error: float) -> str:
        """Pass, warn or fail of a value with its standard error (0 where it is exact); NaN fails."""
        if value < self.threshold or (value == self.threshold and not self.strict):
            return PASS
        return WARN if error > 0 and value <= self.threshold + 2 * error else FAIL

    def text(self, number: float) -> str:
        """A value or threshold, with its unit."""
        return f"{100 * number:.2f} points" if self.unit == "points" else f"{number:.3g} {self.unit}".strip()


# fmt: off
CHECKS = {check.name: check for check in (  # three lines a check
    Check("stronger_single_step", "Iterative at least as strong as single step", 2.0, WEAK_ATTACKS, unit="standard errors",
          rule="accuracy under BIM at most two standard errors above that under FGSM",
          why="Many small steps contain the large one; if they find less, the gradient misleads them."),
    Check("precision", "Rounding does not weaken the attack", 0.001, WEAK_ATTACKS, strict=True,
          rule="with an exact gradient accuracy under FGSM and BIM is less than 0.1 points lower",
          why="Of a sure model float32 loses the label's part of the gradient; of another, both forms fool the same images."),
    Check("budget_not_monotone", "Accuracy falls with the budget", 0.0, PGD,
          rule="no rise of accuracy under PGD from epsilon 0 to 0.5, in steps of 0.1",
          why="A larger budget contains the smaller; a rise means that the attack fails, not that the model is robust."),
    Check("above_chance_at_half", "A large budget breaks it: chance at 0.5", 0.0, PGD,
          rule="accuracy under PGD at epsilon 0.5 at most the share of the commonest label (11.35% of MNIST's test images)",
          why="At epsilon 0.5 every image can be turned into the same grey one, so nothing can be told apart."),
    Check("above_zero_at_one", "An unlimited budget breaks it: 0% at 1", 0.0, PGD,
          rule="accuracy under PGD at epsilon 1 is 0",
          why="At epsilon 1 every image can be turned into any other; whatever is left is the attack's failure."),
    Check("iterations_not_enough", "Converged in iterations", 0.005, WEAK_ATTACKS, strict=True,
          rule="doubling PGD's iterations changes accuracy under one restart by less than 0.5 points",
          why="If more steps still find more, one restart measures the attack's patience."),
    Check("step_size_matters", "Converged in step size", 0.005, WEAK_ATTACKS, strict=True,
          rule="half and twice PGD's step change accuracy under one restart by less than 0.5 points",
          why="On a smooth loss the step hardly matters; on a masked one it decides."),
    Check("longer_pgd_better", "More iterations find nothing beyond PGD", 0.005, PGD, strict=True,
          rule="one restart with twice the iterations fools less than 0.5% of the images beyond those that PGD fools",
          why="The worst of all restarts has to make up for what one restart misses."),
    Check("other_step_better", "Other steps find nothing beyond PGD", 0.005, PGD, strict=True,
          rule="one restart with half or twice the step fools less than 0.5% of the images beyond those that PGD fools",
          why="The worst of all restarts has to make up for a step that is not the best."),
    Check("restarts_matter", "Restarts find little more", 0.005, WEAK_ATTACKS, strict=True,
          rule="all restarts of PGD on the cross-entropy fool less than 0.5% of the images beyond those that one fools",
          why="Many bad local maxima around an image are a sign of a rugged, masked loss."),
    Check("margin_loss_better", "The margin loss is not better", 0.01, WEAK_ATTACKS,
          rule="accuracy under PGD on the margin at most 1 point below that on the cross-entropy",
          why="Where the model is very sure the cross-entropy goes flat, and attacks on it stop; the margin does not."),
    Check("gradient_free_better", "A gradient-free attack is not better", 0.002, PGD, strict=True,
          rule="Square Attack fools less than 0.2% of the images beyond those that PGD fools",
          why="Who does not see gradients cannot do better than who does, unless the gradients are useless."),
    Check("autoattack_better", "AutoAttack is not better", 0.005, PGD,
          rule="AutoAttack fools at most 0.5% of its images beyond those that PGD fools",
          why="It chooses its steps by what they gain, and aims at each other class in turn."),
    Check("transfer_better", "Transfer is not better", 0.0, PGD,
          rule="other models' adversarial examples fool no image beyond those that PGD on the model fools",
          why="Examples made without the model cannot beat those made with it, unless its gradients are useless."),
    Check("noise_better", "Noise is not better", 0.0, PGD,
          rule="uniform noise and noise of +-epsilon fool no image beyond those that PGD fools",
          why="Noise is the weakest attack of all."),
    Check("zero_gradients", "No zero gradients", 0.0, EVERY_ATTACK,
          rule="no clean image with an input gradient that is zero everywhere, NaN or infinite",
          why="Where there is no gradient, gradient attacks do nothing and the image counts as robust."),
    Check("not_logits", "Logits, not probabilities", 0.0, EVERY_ATTACK, unit="of the outputs",
          rule="no output that looks like a distribution",
          why="A second softmax inside the loss flattens it."),
    Check("not_deterministic", "Deterministic forward pass", 0.0, EVERY_ATTACK, unit="",
          rule="two forward passes give the same bits",
          why="Noise in the model hides the gradient from an attack that looks once."),
    Check("not_batch_invariant", "Batch invariance", 1e-4, EVERY_ATTACK, unit="",
          rule="logits of an image alone and in a batch differ by rounding only (1e-4 of the largest)",
          why="An image's neighbours must not defend it."),
    Check("label_leaking", "No label leaking", 0.0, WEAK_ATTACKS,
          rule="accuracy under FGSM not above clean accuracy",
          why="Training on single-step examples can teach a model to read the label from the perturbation."),
    Check("catastrophic_overfitting", "No catastrophic overfitting", 0.2, WEAK_ATTACKS,
          rule="accuracy under FGSM at most 20 points above that under PGD",
          why="A model that withstands one large step and not several small ones has learnt to mask, not to be robust."),
    Check("silent_success", "No silent success", 0.005, WEAK_ATTACKS, strict=True,
          rule="less than 0.5% of the images fooled at some iterate of BIM and not at the last",
          why="An attack that finds an adversarial example and walks past it reports robustness that is not there."),
)}
# fmt: on
"""Every check, in the order of the page."""
