"""Transfer: who is fooled by whose adversarial examples."""

from typing import Any

import pytest
import torch
from torch import Tensor

from advtrain.attacks.pgd import Pgd
from advtrain.data.examples import Examples
from advtrain.evaluation.transferability import ANY, transfer
from synthetic import Linear

PGD = Pgd(epsilon=0.2, step_size=0.05, iterations=8, restarts=1, seed=0, batch_size=2)


@pytest.fixture
def data() -> Examples:
    """Three grey images of label 0."""
    x = torch.stack([torch.full((1, 28, 28), value) for value in (0.55, 0.65, 0.9)])
    return Examples(x, torch.zeros(3, dtype=torch.int64))


class Brightness(Linear):
    """Class 0 if the image is brighter than a threshold on average."""

    def __init__(self, threshold: float) -> None:
        super().__init__(torch.full((1, 28, 28), 1 / 784))
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - torch.tensor([self.threshold, 0.0])


class Deaf(Brightness):
    """The same answers, and no gradient to attack with."""

    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) * 1e6).sign() + 0 * super().forward(x)


def rows_of(models: dict[str, Brightness], data: Examples, **withstood: list[bool]) -> dict[tuple[str, str], dict[str, Any]]:
    """The matrix by source and target; a model is said to withstand its own attacks on all images but where told otherwise."""
    flags = {name: torch.tensor(withstood.get(name, [True] * 3)) for name in models}
    return {(row["source"], row["target"]): row for row in transfer(models, flags, data, PGD)}


def test_each_target_meets_the_examples_of_each_source_and_what_its_own_attack_missed_is_counted(data: Examples) -> None:
    rows = rows_of({"open": Brightness(0.5), "deaf": Deaf(0.5)}, data, open=[False, False, True])
    assert set(rows) == {(s, t) for s in ("open", "deaf", ANY) for t in ("open", "deaf")}
    assert rows["open", "open"]["accuracy"] == pytest.approx(1 / 3), "0.55 and 0.65 fall below 0.5 within 0.2"
    assert rows["open", "deaf"]["accuracy"] == pytest.approx(1 / 3)
    assert rows["deaf", "deaf"]["accuracy"] == 1, "its own gradient finds nothing"
    assert rows["deaf", "open"]["accuracy"] == 1
    assert rows["open", "deaf"]["newly_fooled"] == pytest.approx(2 / 3)
    assert rows[ANY, "deaf"]["newly_fooled"] == pytest.approx(2 / 3)
    assert rows[ANY, "open"]["newly_fooled"] == 0
    assert rows[ANY, "open"]["accuracy"] == 1, "without its own examples, which fool it twice"


def test_all_other_sources_together_are_worse_than_each_and_leave_out_the_target_itself(data: Examples) -> None:
    class Dark(Brightness):
        """Class 0 if the image is darker: its examples are made brighter."""

        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    models = {"open": Brightness(0.5), "strict": Brightness(0.75), "dark": Dark(0.5)}
    rows = rows_of(models, data)
    for target in models:
        assert rows[ANY, target]["accuracy"] <= min(rows[source, target]["accuracy"] for source in models if source != target)
