"""A defense's random numbers come from its seed alone, so a training can be repeated; test_training.py resumes one."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from advtrain.data.examples import Examples
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom
from advtrain.training.run import train
from advtrain.training.trainer import Trainer
from trainings import assert_same_bits, plan

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


def test_draws_have_their_distribution_and_are_not_those_of_the_order_of_the_images() -> None:
    like = torch.empty(3, 100_000)
    uniform, normal = SeededRandom(SEEDS, CPU).uniform(like), SeededRandom(SEEDS, CPU).normal(like)
    assert 0 <= uniform.min() < uniform.max() < 1
    assert uniform.mean(1).tolist() == pytest.approx([0.5] * 3, abs=0.01)
    assert [*normal.mean(1), *normal.std(1)] == pytest.approx([0] * 3 + [1] * 3, abs=0.02)
    assert not torch.equal(uniform[0], torch.rand(100_000, generator=torch.Generator().manual_seed(SEEDS[0])))


GLOBAL_GENERATORS = {"torch": lambda: torch.rand(1), "NumPy": lambda: np.random.rand(), "Python": random.random}


@pytest.mark.parametrize("place", ["start_training", "start_epoch", "outcome"])
@pytest.mark.parametrize("name", GLOBAL_GENERATORS)
def test_a_draw_from_a_global_generator_is_refused_by_name(
    name: str, place: str, examples: Examples, random_start: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(random_start, place)

    def draw(*arguments: object) -> object:
        GLOBAL_GENERATORS[name]()
        return original(*arguments)

    monkeypatch.setattr(random_start, place, draw)
    with pytest.raises(InputError, match=f"defense random_start drew .* the global generator of {name}, "):
        train(plan("random_start"), examples)
