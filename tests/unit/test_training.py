import copy
import dataclasses
import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import fgsm
from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.defenses.base import Outcome
from advtrain.defenses.vanilla import Vanilla
from advtrain.system.errors import InputError
from advtrain.training import run
from advtrain.training.run import State, train
from advtrain.training.trainer import Trainer
from advtrain.training.watch import watch
from trainings import (
    RECIPES,
    assert_same_bits,
    assert_same_tensors,
    comparable,
    plan,
    states_of,
    stop_after,
    stop_at_every_step,
)


def test_a_seed_repeats_bit_for_bit_whatever_else_is_trained_or_drawn_in_the_process(examples: Examples) -> None:
    together = train(plan("atda", seeds=(0, 1)), examples)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    alone = train(plan("atda", seeds=(1,)), examples)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_tensors(alone.weights[1], together.weights[1])
    assert comparable(alone.history) == comparable(together.history[3:])
    assert not torch.equal(together.weights[0]["7.weight"], together.weights[1]["7.weight"])
    assert not torch.equal(*(Trainer(plan("vanilla"), examples, [seed]).start_epoch(0) for seed in (0, 1)))


@pytest.mark.parametrize("at_once", [False, True], ids=["seed by seed", "seeds at once"])
@pytest.mark.parametrize("name", [*RECIPES, "random_start"])
def test_a_training_stopped_after_every_step_ends_with_the_bits_of_a_straight_one(
    name: str, at_once: bool, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_start: type
) -> None:
    """Three epochs of three steps for each of two seeds: no step is lost and none is taken twice."""
    monkeypatch.setattr(run, "is_quicker_together", lambda device: at_once)
    two_seeds = plan(name, seeds=(3, 4))
    stopped, stops = stop_at_every_step(two_seeds, examples, tmp_path / "checkpoint")
    assert stops == (9 if at_once else 18)
    assert_same_bits(stopped, train(two_seeds, examples))


@pytest.mark.parametrize("changes", [{}, {"epochs": 4}, {"epochs": 5}, {"seeds": (5, 4, 3)}], ids=str)
def test_each_saved_state_serves_this_training_and_one_of_more_epochs_or_seeds(changes: dict, examples: Examples) -> None:
    """After each of three epochs of two seeds; once a seed is done, the number of epochs is fixed."""
    states = states_of(plan("proposed", seeds=(3, 4)), examples)
    asked = plan("proposed", **{"seeds": (3, 4)} | changes)
    straight = train(asked, examples)
    for epochs, state in enumerate(states[: 2 if "epochs" in changes else None], start=1):
        watched: list[int] = []
        resumed = train(asked, examples, resume_from=state, watch=lambda record, done, seen=watched: seen.append(done))
        assert watched == list(range(epochs + 1, asked.epochs * len(asked.seeds) + 1))
        assert_same_bits(resumed, straight)


def test_a_state_is_refused_that_is_further_than_the_epochs_asked_for(examples: Examples) -> None:
    after_two = states_of(plan("vanilla"), examples)[1]
    within_the_second = states_of(plan("vanilla"), examples, stop_at=4)[-1]
    done = states_of(plan("vanilla", seeds=(3, 4)), examples)[2]
    for state, epochs in ((after_two, 1), (within_the_second, 1), (done, 2), (done, 4)):
        with pytest.raises(InputError, match=f"epochs or more, and {epochs} are asked for"):
            train(plan("vanilla", epochs=epochs, seeds=(3, 4)), examples, resume_from=state)


def test_a_resumed_epoch_has_its_number_and_its_seconds(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defense is told the number; the seconds before the stop count."""
    saved = states_of(plan("vanilla"), examples, stop_at=5)[-1]
    assert saved["running"]["seconds"] > 0
    saved["running"]["seconds"] = 1e6
    told: list[int] = []
    monkeypatch.setattr(Vanilla, "start_epoch", lambda self, epoch: told.append(epoch))
    history = train(plan("vanilla"), examples, resume_from=saved).history
    assert told == [1, 2]
    assert history[1].seconds > 1e6 > history[2].seconds


def test_what_a_defense_draws_for_an_epoch_is_drawn_again_where_the_epoch_resumes(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it need not be in the defense's `state_dict`."""

    class Shifted(Vanilla):
        def start_epoch(self, epoch: int) -> None:
            self.shift = self.random.uniform(torch.zeros(1))

        def outcome(self, network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Outcome:
            return super().outcome(network, x + self.shift, y, index)

    monkeypatch.setattr(registry, "create", lambda settings, epsilon: Shifted(epsilon=epsilon))
    straight = train(plan("vanilla"), examples)
    saved = states_of(plan("vanilla"), examples, stop_at=5)[-1]
    assert_same_bits(train(plan("vanilla"), examples, resume_from=saved), straight)


def test_endless_minibatches_go_from_epoch_to_epoch(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(Vanilla, "start_epoch", lambda self, epoch: told.append(epoch))
    trainer = Trainer(plan("vanilla"), examples, [0])
    per_epoch = len(trainer.minibatches(torch.arange(len(examples))))
    shown = torch.cat(list(itertools.islice(trainer.endless_minibatches(), 3 * per_epoch)))
    assert told == [0, 1, 2]
    assert all(sorted(epoch.tolist()) == list(range(len(examples))) for epoch in shown.chunk(3))


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


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_steps_are_those_of_torch_s_optimisers(optimiser: str, examples: Examples) -> None:
    """SGD with momentum and Adam, with weight decay that is added to the gradient."""
    settings = {"optimiser": optimiser, "learning_rate": 0.01, "weight_decay": 0.1, "momentum": 0.9 * (optimiser == "sgd")}
    trainer = Trainer(plan("vanilla", **settings), examples, [3])
    network = copy.deepcopy(trainer.network)
    expected = (
        torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)
        if optimiser == "sgd"
        else torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.1)
    )
    for index in torch.arange(96).split(32):
        trainer.step(index)
        expected.zero_grad()
        torch.nn.functional.cross_entropy(network(examples.x[index]), examples.y[index]).backward()
        expected.step()
    for ours, theirs in zip(trainer.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_history_has_the_loss_and_accuracies_of_the_epoch_and_what_was_watched_after_it(examples: Examples) -> None:
    """At a rate at which hardly anything moves, with a last minibatch that is not full."""
    settings = {"learning_rate": 1e-12, "batch_size": 40, "monitor_examples": 20, "monitor_iterations": 4, "epsilon": 0.14}
    trainer = Trainer(plan("fgsm_adv", **settings), examples, [3])
    trainer.network.load_state_dict(train(plan("vanilla", epochs=25, batch_size=16), examples).weights[3])
    (record,) = trainer.train_epoch()
    network, x, y = trainer.network, examples.x, examples.y
    both = [network(images) for images in (x, fgsm(network, x, y, epsilon=0.14))]
    clean, adversarial = ((logits.argmax(dim=1) == y).double().mean().item() for logits in both)
    assert clean > adversarial
    assert (record.clean_accuracy, record.adversarial_accuracy) == pytest.approx((clean, adversarial))
    losses = [torch.nn.functional.cross_entropy(logits, y).item() for logits in both]
    assert record.loss == pytest.approx(sum(losses) / 2, rel=1e-5)
    (seen,) = watch(network, examples.first(20), 1, epsilon=0.14, iterations=4)
    assert dataclasses.asdict(record).items() >= dataclasses.asdict(seen).items()
    assert len({seen.robust_accuracy, seen.fgsm_accuracy, seen.pgd_accuracy}) == 3


def test_random_signs_in_place_of_zero_gradients_change_what_is_trained(examples: Examples) -> None:
    x = examples.x.clone()
    x[..., :8, :] = 0
    bordered = Examples(x, examples.y)
    kept, random = (train(plan("fgsm_adv", epochs=1, zero_gradients=how), bordered) for how in ("kept", "random_signs"))
    assert not torch.equal(kept.weights[3]["0.weight"], random.weights[3]["0.weight"])


def test_an_epoch_sees_each_image_once_in_an_order_of_its_own(examples: Examples) -> None:
    trainer = Trainer(plan("vanilla"), examples, [3])
    orders = [torch.cat(list(trainer.minibatches(trainer.start_epoch(epoch)))) for epoch in range(2)]
    assert not torch.equal(*orders)
    assert all(torch.equal(order.sort().values, torch.arange(96)) for order in orders)


@pytest.mark.parametrize("stop_at", [None, 3])
def test_a_loss_that_is_no_number_names_its_step_and_is_not_saved(stop_at: int | None, examples: Examples) -> None:
    saved: list[State] = []
    with pytest.raises(InputError, match="the loss of seed 3 became nan in epoch 1, step 2; lower learning_rate"):
        train(plan("vanilla", learning_rate=1e30), examples, save=saved.append, why_stop=stop_after(stop_at))
    assert saved == []
