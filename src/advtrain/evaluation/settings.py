"""What every evaluation is told: the budget, and which test images."""

from dataclasses import dataclass

from advtrain.attacks.gradient import check_epsilon
from advtrain.system.settings import check_counts


@dataclass(frozen=True, kw_only=True)
class OnTestImages:
    """An attack's budget, and the test images that it attacks."""

    epsilon: float
    """Radius of the l-infinity budget, in the images' units."""
    examples: int
    """Number of test images."""
    subset_seed: int
    """Draws them if they are not all; the first of them are those of a smaller number."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_counts(self)
