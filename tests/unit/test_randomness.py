"""Random numbers in a training come from its seeds: it can be repeated and resumed, and no other seed disturbs it."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from advtrain.data.examples import Examples
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom
from advtrain.training import run
from advtrain.training.run import train
from advtrain.training.trainer import Trainer
from trainings import assert_same_bits, plan, stop_at_every_step

SEEDS = [3, 4, 5]
CPU = torch.device("cpu")


@pytest.fixture(params=["uniform", "normal"])
def draws(request: pytest.FixtureRequest, random_start: type, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """All that the defense random_start draws, by either method of its generators."""
    drawn: list[Tensor] = []

    def noise(self: object, x: Tensor) -> Tensor:
        drawn.append(getattr(self.random, request.param)(x))
        return 2 * drawn[-1] - 1

    monkeypatch.setattr(random_start, "noise", noise)
    return drawn


def drawn_by(draws: list[Tensor], examples: Examples, seeds: list[int]) -> Tensor:
    """The draws of an epoch, [steps, ...] for one seed, else [steps, S, ...]."""
    draws.clear()
    Trainer(plan("random_start"), examples, seeds).train_epoch()
    return torch.stack(draws)


def test_each_seed_draws_the_same_numbers_alone_again_and_with_others(draws: list[Tensor], examples: Examples) -> None:
    together = drawn_by(draws, examples, SEEDS)
    for place, seed in enumerate(SEEDS):
        assert torch.equal(together[:, place], drawn_by(draws, examples, [seed]))
        assert not torch.equal(together[:, place], together[:, place - 1])
    assert_same_bits(train(plan("random_start"), examples), train(plan("random_start"), examples))


@pytest.mark.parametrize("at_once", [False, True])
def test_a_training_stopped_after_every_step_draws_on_where_it_was(
    at_once: bool, draws: list[Tensor], examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "is_quicker_together", lambda device: at_once)
    two_seeds = plan("random_start", seeds=(3, 4))
    stopped, stops = stop_at_every_step(two_seeds, examples, tmp_path / "checkpoint")
    assert stops == (9 if at_once else 18)
    drawn = torch.stack(draws)
    draws.clear()
    assert_same_bits(stopped, train(two_seeds, examples))
    assert torch.equal(drawn, torch.stack(draws))


def test_draws_have_their_distribution_and_are_not_those_of_the_order_of_the_images() -> None:
    like = torch.empty(3, 100_000)
    uniform, normal = SeededRandom(SEEDS, CPU).uniform(like), SeededRandom(SEEDS, CPU).normal(like)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean(1).tolist() == pytest.approx([0.5] * 3, abs=0.01)
    assert normal.mean(1).tolist() == pytest.approx([0] * 3, abs=0.02)
    assert normal.std(1).tolist() == pytest.approx([1] * 3, abs=0.02)
    for row, seed in zip(uniform, SEEDS, strict=True):
        assert not torch.equal(row, torch.rand(100_000, generator=torch.Generator().manual_seed(seed)))


GLOBAL_GENERATORS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.rand(1),
    "NumPy": lambda: np.random.rand(),
    "Python": random.random,
}


@pytest.mark.parametrize("place", ["start_training", "start_epoch", "outcome"])
@pytest.mark.parametrize("name", GLOBAL_GENERATORS)
def test_a_defense_that_draws_from_a_global_generator_is_refused_by_name(
    name: str, place: str, examples: Examples, random_start: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(random_start, place)

    def draw(*arguments: object) -> object:
        GLOBAL_GENERATORS[name]()
        return original(*arguments)

    monkeypatch.setattr(random_start, place, draw)
    with pytest.raises(InputError, match=f"defense random_start drew .* the global generator of {name}, "):
        train(plan("random_start"), examples)
