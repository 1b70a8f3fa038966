"""Transfer: who is fooled by whose adversarial examples."""

import pytest
import torch

from advtrain.data.examples import Examples
from advtrain.evaluation.paper_attacks import Pgd
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) - torch.tensor([self.threshold, 0.0])


class Deaf(Brightness):
    """The same answers, and no gradient to attack with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (super().forward(x) * 1e6).sign() + 0 * super().forward(x)


def test_each_target_meets_the_examples_of_each_source(data: Examples) -> None:
    models = {"open": Brightness(0.5), "deaf": Deaf(0.5)}
    withstood = {"open": torch.tensor([False, False, True]), "deaf": torch.tensor([True, True, True])}
    rows = {(row["source"], row["target"]): row for row in transfer(models, withstood, data, PGD)}
    assert set(rows) == {(s, t) for s in ("open", "deaf", ANY) for t in ("open", "deaf")}
    accuracies = {pair: row["accuracy"] for pair, row in rows.items()}
    assert accuracies["open", "open"] == pytest.approx(1 / 3), "0.55 and 0.65 fall below 0.5 within 0.2"
    assert accuracies["open", "deaf"] == pytest.approx(1 / 3)
    assert accuracies["deaf", "deaf"] == 1, "its own gradient finds nothing"
    assert accuracies["deaf", "open"] == 1


def test_what_a_model_s_own_attack_missed_is_counted(data: Examples) -> None:
    models = {"open": Brightness(0.5), "deaf": Deaf(0.5)}
    withstood = {"open": torch.tensor([False, False, True]), "deaf": torch.tensor([True, True, True])}
    rows = {(row["source"], row["target"]): row for row in transfer(models, withstood, data, PGD)}
    assert rows["open", "deaf"]["newly_fooled"] == pytest.approx(2 / 3)
    assert rows[ANY, "deaf"]["newly_fooled"] == pytest.approx(2 / 3)
    assert rows[ANY, "open"]["newly_fooled"] == 0
    assert rows[ANY, "open"]["accuracy"] == 1, "without its own examples, which fool it twice"


def test_all_other_sources_together_are_worse_than_each_and_leave_out_the_target_itself(data: Examples) -> None:
    class Dark(Brightness):
        """Class 0 if the image is darker: its examples are made brighter."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    models = {"open": Brightness(0.5), "strict": Brightness(0.75), "dark": Dark(0.5)}
    withstood = {name: torch.ones(3, dtype=torch.bool) for name in models}
    rows = {(row["source"], row["target"]): row for row in transfer(models, withstood, data, PGD)}
    for target in models:
        others = [rows[source, target]["accuracy"] for source in models if source != target]
        assert rows[ANY, target]["accuracy"] <= min(others)
