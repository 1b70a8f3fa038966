import functools
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advtrain.data.examples import Examples
from advtrain.defenses.vanilla import Vanilla
from advtrain.networks.plain import NETWORKS
from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from advtrain.training.plan import EpochRecord
from advtrain.training.run import State, train
from advtrain.training.trainer import Trainer
from trainings import RECIPES, assert_same_bits, assert_same_tensors, plan, states_of, stop_after, stop_at_every_step


def test_a_seed_repeats_bit_for_bit_and_leaves_the_global_random_state_alone(examples: Examples) -> None:
    trained = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        trained.append(train(plan("atda"), examples))
        assert torch.equal(torch.get_rng_state(), before)
    assert_same_bits(*trained)


def test_seeds_differ_in_weights_and_order_and_do_not_depend_on_those_before_them(examples: Examples) -> None:
    together = train(plan("proposed", seeds=(0, 1)), examples)
    assert not torch.equal(together.weights[0]["7.weight"], together.weights[1]["7.weight"])
    assert not torch.equal(*(Trainer(plan("vanilla"), examples, [seed]).start_epoch(0) for seed in (0, 1)))
    assert_same_tensors(train(plan("proposed", seeds=(1,)), examples).weights[1], together.weights[1])


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_stopped_after_every_step_ends_with_the_bits_of_a_straight_one(
    name: str, examples: Examples, tmp_path: Path
) -> None:
    two_seeds = plan(name, seeds=(3, 4))
    stopped, stops = stop_at_every_step(two_seeds, examples, tmp_path / "checkpoint")
    assert stops == 2 * 3 * 3, "three steps an epoch, three epochs, two seeds: no step is lost and none is taken twice"
    assert_same_bits(stopped, train(two_seeds, examples))


@pytest.mark.parametrize("killed_after", [1, 2, 4, 5])
def test_a_training_killed_in_any_epoch_resumes_at_the_last_checkpoint(
    killed_after: int, examples: Examples, tmp_path: Path
) -> None:
    """Three epochs for each of two seeds: the kill falls into the first seed's training or the second's."""
    two_seeds, file = plan("proposed", seeds=(3, 4)), tmp_path / "checkpoint"

    def kill(record: EpochRecord, done: int) -> None:
        if done > killed_after:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(two_seeds, examples, save=functools.partial(checkpoint.save_state, file, {}), watch=kill)
    watched: list[int] = []
    state = checkpoint.load_if_same(file, {})
    resumed = train(two_seeds, examples, resume_from=state, watch=lambda record, done: watched.append(done))
    assert watched == list(range(killed_after + 1, 7))
    assert_same_bits(resumed, train(two_seeds, examples))


def test_the_seconds_of_an_epoch_are_those_before_and_after_a_stop(examples: Examples) -> None:
    (saved,) = states_of(plan("vanilla"), examples, stop_at=1)
    assert saved["running"]["seconds"] > 0
    saved["running"]["seconds"] = 1e6
    assert train(plan("vanilla"), examples, resume_from=saved).history[0].seconds > 1e6


@pytest.mark.parametrize("changes", [{"epochs": 2}, {"epochs": 4}, {"seeds": (3, 4)}, {"seeds": (4, 3)}], ids=str)
def test_what_has_been_trained_serves_a_training_of_other_epochs_or_more_seeds(changes: dict, examples: Examples) -> None:
    after_two_epochs = states_of(plan("proposed"), examples)[1]
    asked = plan("proposed", **changes)
    assert_same_bits(train(asked, examples, resume_from=after_two_epochs), train(asked, examples))


def test_a_state_is_refused_that_is_further_than_the_epochs_asked_for(examples: Examples) -> None:
    after_two = states_of(plan("vanilla"), examples)[1]
    within_the_second = states_of(plan("vanilla"), examples, stop_at=4)[-1]
    done = states_of(plan("vanilla", seeds=(3, 4)), examples)[2]
    for state, epochs in ((after_two, 1), (within_the_second, 1), (done, 2), (done, 4)):
        with pytest.raises(InputError, match=f"epochs or more, and {epochs} are asked for"):
            train(plan("vanilla", epochs=epochs, seeds=(3, 4)), examples, resume_from=state)


def test_a_defense_is_told_the_epoch_in_which_it_resumes(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = states_of(plan("vanilla"), examples, stop_at=5)[-1]
    told: list[int] = []
    monkeypatch.setattr(Vanilla, "start_epoch", lambda self, epoch: told.append(epoch))
    train(plan("vanilla"), examples, resume_from=saved)
    assert told == [1, 2]


def test_a_checkpoint_is_saved_every_few_epochs_and_after_each_seed(examples: Examples) -> None:
    saved = states_of(plan("vanilla", epochs=5, seeds=(0, 1)), examples, save_every=2)
    trained = [len(state["running"]["history"]) if state["running"] else "done" for state in saved]
    assert trained == [2, 4, "done", 2, 4, "done"]


def test_training_learns_and_its_history_has_a_row_for_each_seed_and_epoch(examples: Examples) -> None:
    history = train(plan("vanilla", epochs=25, batch_size=16, seeds=(0, 5)), examples).history
    assert [(record.seed, record.epoch) for record in history] == [(s, e) for s in (0, 5) for e in range(1, 26)]
    assert history[24].loss < history[0].loss / 2
    assert history[24].clean_accuracy > 0.8
    assert math.isnan(history[0].adversarial_accuracy), "it has no adversarial examples"
    assert all(0 <= record.robust_accuracy <= 1 and record.seconds > 0 for record in history)


def test_the_learning_rate_follows_straight_lines_with_jumps() -> None:
    scheduled = plan("vanilla", learning_rate=10.0, schedule=((1, 0), (2, 1), (4, 1), (4, 0.1), (6, 0.3)))
    rates = {0: 0, 1: 0, 1.25: 2.5, 2: 10, 3.9: 10, 4: 1, 5: 2, 6: 3, 100: 3}
    assert {epoch: scheduled.rate(epoch) for epoch in rates} == pytest.approx(rates)
    assert plan("vanilla").rate(50) == plan("vanilla").learning_rate


def test_each_step_is_taken_at_its_own_rate_and_with_weight_decay(examples: Examples) -> None:
    """Three steps an epoch, of which the last two are at the rate of zero, where nothing moves."""
    after = {}
    for decay in (0, 0.5):
        trainer = Trainer(plan("vanilla", schedule=((0, 1), (1 / 3, 1), (1 / 3, 0)), weight_decay=decay), examples, [3])
        weights: list[Tensor] = []
        trainer.train_epoch(lambda seen=weights, of=trainer: seen.append(of.network[7].weight.detach().clone()))
        assert all(torch.equal(*pair) for pair in itertools.pairwise(weights))
        after[decay] = weights[0]
    before = Trainer(plan("vanilla"), examples, [3]).network[7].weight
    assert after[0.5].abs().sum() < after[0].abs().sum()
    assert not torch.equal(after[0], before)


def test_an_epoch_sees_each_image_once_in_random_order(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = Vanilla.outcome

    def outcome(self: Vanilla, network: Any, x: Tensor, y: Tensor, index: Tensor) -> Any:
        assert torch.equal(x, examples.x[index])
        seen.extend(index.tolist())
        return original(self, network, x, y, index)

    monkeypatch.setattr(Vanilla, "outcome", outcome)
    train(plan("vanilla", epochs=1), examples)
    assert sorted(seen) == list(range(len(examples))) != seen


@pytest.mark.parametrize("stop_at", [None, 3])
def test_a_loss_that_is_no_number_is_an_error_that_names_the_step_and_is_not_saved(
    stop_at: int | None, examples: Examples
) -> None:
    saved: list[State] = []
    with pytest.raises(InputError, match="the loss of seed 3 became nan in epoch 1, step 2; lower learning_rate"):
        train(plan("vanilla", learning_rate=1e30), examples, save=saved.append, why_stop=stop_after(stop_at))
    assert saved == []


@pytest.mark.parametrize("name", RECIPES)
def test_every_defense_trains_every_network(name: str, examples: Examples) -> None:
    for network in NETWORKS:
        (record,) = train(plan(name, network=network, epochs=1), examples.first(32)).history
        assert math.isfinite(record.loss)
