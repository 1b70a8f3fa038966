import contextlib
import copy
import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advtrain.results.parquet import checkpoint
from advtrain.data.examples import Examples
from advtrain.defenses.fgsm_adv import FgsmAdv
from advtrain.system.errors import InputError, Stopped
from advtrain.training.trainer import EpochRecord, Plan, Trained, train

TRUE = {"labels": "ground_truth"}
SETTINGS = {
    "vanilla": {"method": "vanilla"},
    "fgsm_adv": {"method": "fgsm_adv", **TRUE},
    "atda": {"method": "atda", **TRUE},
    "proposed": {"method": "proposed", "step_divisor": 10, "reset_epochs": 4, **TRUE},
    "bim_adv": {"method": "bim_adv", "iterations": 2, **TRUE},
}


def plan(method: str, **changes: Any) -> Plan:
    standard = Plan(
        network="small_cnn",
        defense=SETTINGS[method],
        epsilon=0.3,
        epochs=3,
        batch_size=32,
        learning_rate=1e-3,
        monitor_examples=20,
        monitor_iterations=2,
    )
    return dataclasses.replace(standard, **changes)


def without_seconds(history: list[EpochRecord]) -> list[tuple]:
    """Rows to compare: NaN equals NaN here, and time is not compared."""
    rows = [dataclasses.astuple(dataclasses.replace(record, seconds=0.0)) for record in history]
    return [tuple("nan" if isinstance(value, float) and math.isnan(value) else value for value in row) for row in rows]


def assert_same_bits(one: Trained, other: Trained) -> None:
    assert one.weights.keys() == other.weights.keys()
    for seed, weights in one.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, other.weights[seed][name]), (seed, name)
    assert without_seconds(one.history) == without_seconds(other.history)


def test_a_seed_repeats_bit_for_bit_whatever_the_global_random_state(examples: Examples) -> None:
    torch.manual_seed(1)
    one = train(plan("fgsm_adv"), examples, [7])
    torch.manual_seed(2)
    other = train(plan("fgsm_adv"), examples, [7])
    assert_same_bits(one, other)


def test_training_leaves_the_global_random_state_alone(examples: Examples) -> None:
    before = torch.get_rng_state()
    train(plan("atda", epochs=1), examples, [0])
    assert torch.equal(torch.get_rng_state(), before)


def test_two_seeds_differ_in_weights_and_order(examples: Examples) -> None:
    trained = train(plan("vanilla", epochs=1), examples, [0, 1])
    assert not torch.equal(trained.weights[0]["7.weight"], trained.weights[1]["7.weight"])
    assert trained.history[0].loss != trained.history[1].loss


def test_a_seed_s_run_does_not_depend_on_the_seeds_before_it(examples: Examples) -> None:
    together = train(plan("proposed"), examples, [0, 1])
    alone = train(plan("proposed"), examples, [1])
    for name, tensor in alone.weights[1].items():
        assert torch.equal(tensor, together.weights[1][name])


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("killed_after", [1, 2, 4, 5])
def test_a_run_killed_after_any_epoch_ends_with_the_bits_of_a_straight_run(
    method: str, killed_after: int, examples: Examples, tmp_path: Any
) -> None:
    """Three epochs for each of two seeds: the kill falls into the first seed's training, or the second's."""
    straight = train(plan(method), examples, [3, 4])
    file = tmp_path / "checkpoint"

    class KilledError(Exception):
        pass

    def kill(record: EpochRecord, done: int, seconds_left: float) -> None:
        if done > killed_after:
            raise KilledError

    def save(state: dict) -> None:
        checkpoint.save_state(file, {}, state)

    with pytest.raises(KilledError):
        train(plan(method), examples, [3, 4], save=save, watch=kill)
    resumed_from = []
    resumed = train(
        plan(method),
        examples,
        [3, 4],
        resume_from=checkpoint.load_if_same(file, {}),
        watch=lambda record, done, seconds_left: resumed_from.append(done),
    )
    assert resumed_from == list(range(killed_after + 1, 7)), "it should go on, not start afresh"
    assert_same_bits(resumed, straight)


def stop_at_every_step(plan: Plan, examples: Examples, seeds: list[int], file: Path) -> tuple[Trained, int]:
    """A training that is stopped after each of its steps, and goes on from the checkpoint; and how often it was stopped."""
    for stops in itertools.count():
        try:
            trained = train(
                plan,
                examples,
                seeds,
                resume_from=checkpoint.load_if_same(file, {}),
                save=lambda state: checkpoint.save_state(file, {}, state),
                why_stop=lambda: "it is asked to",
            )
        except Stopped:
            continue
        return trained, stops
    raise AssertionError


@pytest.mark.parametrize("method", SETTINGS)
def test_a_run_stopped_after_every_step_ends_with_the_bits_of_a_straight_run(
    method: str, examples: Examples, tmp_path: Path
) -> None:
    stopped, stops = stop_at_every_step(plan(method), examples, [3, 4], tmp_path / "checkpoint")
    assert stops == 2 * 3 * 3, "three steps an epoch, three epochs, two seeds: no step is lost and none is taken twice"
    assert_same_bits(stopped, train(plan(method), examples, [3, 4]))


def test_the_seconds_of_an_epoch_are_those_before_and_after_a_stop(examples: Examples, tmp_path: Path) -> None:
    saved: list[dict] = []
    with pytest.raises(Stopped):
        train(plan("vanilla"), examples, [3], save=saved.append, why_stop=lambda: "it is asked to")
    before = saved[-1]["running"]["seconds"]
    assert before > 0
    saved[-1]["running"]["seconds"] = 1000.0
    assert 1000 < train(plan("vanilla"), examples, [3], resume_from=saved[-1]).history[0].seconds < 2000


def states_of(plan: Plan, examples: Examples, seeds: list[int], stop_after: int = 10**6) -> list[dict]:
    """What a training saves that is stopped after some steps, if it has that many."""
    states: list[dict] = []
    steps = itertools.count(1)
    with contextlib.suppress(Stopped):
        train(
            plan,
            examples,
            seeds,
            save=lambda state: states.append(copy.deepcopy(state)),
            why_stop=lambda: "it is asked to" if next(steps) == stop_after else None,
        )
    return states


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("epochs", [2, 3, 4])
def test_what_has_been_trained_serves_a_training_of_more_or_fewer_epochs(method: str, epochs: int, examples: Examples) -> None:
    after_two = states_of(plan(method), examples, [3])[1]
    asked = plan(method, epochs=epochs)
    assert_same_bits(train(asked, examples, [3], resume_from=after_two), train(asked, examples, [3]))


def test_a_state_is_refused_that_is_further_than_the_epochs_asked_for(examples: Examples) -> None:
    after_two = states_of(plan("vanilla"), examples, [3])[1]
    within_the_second = states_of(plan("vanilla"), examples, [3], stop_after=4)[-1]
    done = states_of(plan("vanilla"), examples, [3, 4])[2]
    for state, epochs in ((after_two, 1), (within_the_second, 1), (done, 2), (done, 4)):
        with pytest.raises(InputError, match=f"epochs or more, and {epochs} are asked for: ask for as many"):
            train(plan("vanilla", epochs=epochs), examples, [3, 4], resume_from=state)


def test_a_defense_is_told_the_epoch_that_is_under_way(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets at an epoch's start and does not save is there again."""
    saved: list[dict] = []
    reasons = iter([None] * 4 + ["it is asked to"])
    with pytest.raises(Stopped):
        train(plan("fgsm_adv"), examples, [3], save=saved.append, why_stop=lambda: next(reasons))
    told: list[int] = []
    monkeypatch.setattr(FgsmAdv, "start_epoch", lambda self, epoch: told.append(epoch))
    train(plan("fgsm_adv"), examples, [3], resume_from=saved[-1])
    assert told == [1, 2]


def test_a_checkpoint_is_saved_every_few_epochs_and_after_each_seed(examples: Examples) -> None:
    saved = []
    train(plan("vanilla", epochs=5), examples, [0, 1], save=lambda state: saved.append(state), save_every=2)
    trained = [len(state["running"]["history"]) if state["running"] else "done" for state in saved]
    assert trained == [2, 4, "done", 2, 4, "done"]


def test_the_history_has_a_row_for_each_seed_and_epoch(examples: Examples) -> None:
    history = train(plan("fgsm_adv"), examples, [0, 5]).history
    assert [(record.seed, record.epoch) for record in history] == [(0, 1), (0, 2), (0, 3), (5, 1), (5, 2), (5, 3)]
    for record in history:
        assert 0 <= record.clean_accuracy <= 1
        assert 0 <= record.adversarial_accuracy <= 1
        assert 0 <= record.robust_accuracy <= 1
        assert record.seconds > 0


def test_vanilla_has_no_adversarial_accuracy(examples: Examples) -> None:
    assert math.isnan(train(plan("vanilla", epochs=1), examples, [0]).history[0].adversarial_accuracy)


def test_training_learns(examples: Examples) -> None:
    history = train(plan("vanilla", epochs=25, batch_size=16), examples, [0]).history
    assert history[-1].loss < history[0].loss / 2
    assert history[-1].clean_accuracy > 0.8


def test_an_epoch_sees_each_image_once(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    from advtrain.defenses.base import vanilla

    seen: list[int] = []
    original = vanilla.Vanilla.outcome

    def outcome(self: Any, network: Any, x: Tensor, y: Tensor, index: Tensor) -> Any:
        assert torch.equal(x, examples.x[index])
        seen.extend(index.tolist())
        return original(self, network, x, y, index)

    monkeypatch.setattr(vanilla.Vanilla, "outcome", outcome)
    train(plan("vanilla", epochs=1), examples, [0])
    assert sorted(seen) == list(range(len(examples)))
    assert seen != sorted(seen)


def test_a_loss_that_is_no_number_stops_with_epoch_and_step(examples: Examples) -> None:
    with pytest.raises(InputError, match=r"the loss of seed 0 became (nan|inf) in epoch \d+, step \d+; lower learning_rate"):
        train(plan("vanilla", learning_rate=1e30), examples, [0])


def test_an_unknown_network_is_refused_by_name(examples: Examples) -> None:
    with pytest.raises(InputError, match="network 'resnet' is unknown; there are small_cnn, madry_cnn"):
        train(plan("vanilla", network="resnet"), examples, [0])


def test_madry_s_network_trains_with_every_defense(examples: Examples) -> None:
    for method in SETTINGS:
        train(plan(method, network="madry_cnn", epochs=1), examples.first(32), [0])


def test_a_state_that_is_no_number_is_not_saved_by_a_stop(examples: Examples) -> None:
    saved: list[dict] = []
    reasons = iter([None, None, "it is asked to"])
    broken = plan("vanilla", learning_rate=1e30)
    with pytest.raises(InputError, match="became nan in epoch 1, step 2"):
        train(broken, examples, [3], save=saved.append, why_stop=lambda: next(reasons))
    assert saved == []
