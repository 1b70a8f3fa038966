"""Several seeds trained at once are the seeds trained one by one."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import assert_same_bits, stop_at_every_step, without_seconds
from torch import Tensor, nn

from advtrain.results.parquet import checkpoint
from advtrain import defenses
from advtrain.training.trainer import trainer as training
from advtrain.attacks.gradient import bim
from advtrain.data.examples import Examples
from advtrain.networks.ensemble import Ensemble
from advtrain.system.errors import InputError
from advtrain.evaluation.paper_attacks import sweep_bim, trace_bim
from advtrain.networks.plain import NETWORKS, initialise, new_network
from advtrain.training.trainer import Plan, Trainer, groups, train
from agreement import largest_difference

TRUE = {"labels": "ground_truth"}
SETTINGS: dict[str, dict[str, Any]] = {
    "vanilla": {"method": "vanilla"},
    "fgsm_adv": {"method": "fgsm_adv", **TRUE},
    "fgsm_adv of predicted labels": {"method": "fgsm_adv", "labels": "predicted"},
    "atda": {"method": "atda", **TRUE},
    "proposed": {"method": "proposed", "step_divisor": 10, "reset_epochs": 4, **TRUE},
    "bim_adv": {"method": "bim_adv", "iterations": 2, **TRUE},
}
SEEDS = [3, 4, 5]


def plan(name: str, **changes: Any) -> Plan:
    return dataclasses.replace(Plan("small_cnn", SETTINGS[name], 0.3, 2, 32, 1e-3, 20, 2), **changes)


def networks_of(name: str) -> list[nn.Sequential]:
    networks = [new_network(name) for _ in SEEDS]
    for seed, network in zip(SEEDS, networks, strict=True):
        initialise(network, torch.Generator().manual_seed(seed))
        network.double()
    return networks


def images(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(len(SEEDS), n, 1, 28, 28, generator=generator, dtype=torch.float64)
    return x, torch.randint(10, (len(SEEDS), n), generator=generator)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_its_own_logits_of_its_own_images(name: str) -> None:
    networks, (x, _) = networks_of(name), images(4)
    together = Ensemble(networks)(x)
    for logits, network, own in zip(together, networks, x, strict=True):
        assert largest_difference(logits, network(own)) < 1e-12


@pytest.mark.parametrize("name", NETWORKS)
def test_bim_finds_the_same_adversarial_examples(name: str) -> None:
    networks, (x, y) = networks_of(name), images(3)
    budget = {"epsilon": 0.3, "step_size": 0.1, "iterations": 3}
    together = bim(Ensemble(networks), x, y, **budget)
    for x_adv, network, own, labels in zip(together, networks, x, y, strict=True):
        assert largest_difference(x_adv, bim(network, own, labels, **budget)) < 1e-12


def test_sweep_and_trace_have_each_network_s_own_row_in_turn(examples: Examples) -> None:
    """In batches that do not divide the images; float32, where rounding has not turned a decision of these."""
    networks = [network.float() for network in networks_of("small_cnn")]
    ensemble = Ensemble(networks)
    for evaluate, iterations in ((sweep_bim, [2, 3]), (trace_bim, 2)):
        settings = {"epsilon": 0.1, "iterations": iterations, "batch_size": 20}
        together = list(evaluate(ensemble, examples, **settings))
        alone = [list(evaluate(network, examples, **settings)) for network in networks]
        assert together == [row for rows in zip(*alone, strict=True) for row in rows]


def test_the_state_dicts_are_those_of_the_networks() -> None:
    networks = networks_of("small_cnn")
    for state, network in zip(Ensemble(networks).state_dicts(), networks, strict=True):
        assert state.keys() == network.state_dict().keys()
        assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in state.items())


@pytest.mark.parametrize("name", SETTINGS)
def test_every_defense_has_each_seed_s_own_loss_and_gradient(name: str) -> None:
    """Over two minibatches that share images, so that what a defense keeps for each seed counts."""
    networks, (x, y) = networks_of("small_cnn"), images(8)
    minibatches = [torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [1, 3, 5, 7]]), torch.tensor([[2, 3, 4, 5]] * 3)]
    ensemble = Ensemble(networks)
    together = outcomes(name, ensemble, x, y, minibatches)
    gradients = torch.autograd.grad(together[-1].loss.sum(), list(ensemble.parameters()))
    for seed, network in enumerate(networks):
        alone = outcomes(name, network, x[seed], y[seed], [index[seed] for index in minibatches])
        for ours, own in zip(together, alone, strict=True):
            assert ours.loss[seed].item() == pytest.approx(own.loss.item(), rel=1e-12)
        own_gradients = torch.autograd.grad(alone[-1].loss, list(network.parameters()))
        for stacked, own_gradient in zip(gradients, own_gradients, strict=True):
            assert largest_difference(stacked[seed], own_gradient) < 1e-11


def outcomes(name: str, network: nn.Module, x: Tensor, y: Tensor, minibatches: list[Tensor]) -> list[defenses.Outcome]:
    defense = defenses.create(SETTINGS[name], epsilon=0.3)
    defense.start_training(x)
    if name == "atda":
        defense.centres = defense.centres.double()
    defense.start_epoch(0)
    seen = []
    for index in minibatches:
        at = defenses.kept_at(index)
        seen.append(defense.outcome(network, x[at], y[at], index))
    return seen


class TestTrainer:
    """The seeds' own orders, updates and histories."""

    @pytest.mark.parametrize("name", SETTINGS)
    def test_an_epoch_of_all_seeds_is_an_epoch_of_each(self, name: str, examples: Examples) -> None:
        """One epoch: rounding turns the sign of a gradient here and there, and trainings drift apart from then on."""
        together = Trainer(plan(name), examples, SEEDS)
        records = together.train_epoch()
        for record, (seed, weights) in zip(records, together.weights().items(), strict=True):
            alone = Trainer(plan(name), examples, [seed])
            (own,) = alone.train_epoch()
            assert (record.seed, record.epoch) == (seed, 1)
            assert record.loss == pytest.approx(own.loss, rel=1e-3)
            for name_ in ("clean_accuracy", "adversarial_accuracy"):
                assert getattr(record, name_) == pytest.approx(getattr(own, name_), abs=2 / len(examples), nan_ok=True)
            assert record.robust_accuracy == pytest.approx(own.robust_accuracy, abs=1 / 20)
            for key, tensor in alone.weights()[seed].items():
                assert largest_difference(weights[key], tensor) < 0.02

    def test_seeds_differ(self, examples: Examples) -> None:
        trainer = Trainer(plan("vanilla"), examples, SEEDS)
        (index, *_) = trainer.minibatches(0)
        assert index.shape == (3, 32)
        assert not torch.equal(index[0], index[1])
        weights = trainer.weights()
        assert not torch.equal(weights[3]["0.weight"], weights[4]["0.weight"])

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_killed_run_goes_on_bit_for_bit(
        self, name: str, examples: Examples, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(training, "quicker_at_once", lambda device: True)
        files: list[Path] = []

        def save(state: dict) -> None:
            files.append(tmp_path / f"{len(files)}.checkpoint")
            checkpoint.save_state(files[-1], {}, state)

        straight = train(plan(name, epochs=3), examples, SEEDS, save=save)
        state = checkpoint.load_if_same(files[0], {})
        assert state["running"]["seeds"] == SEEDS
        watched: list[tuple[int, int, int]] = []
        resumed = train(
            plan(name, epochs=3),
            examples,
            SEEDS,
            resume_from=state,
            watch=lambda record, done, seconds_left: watched.append((record.seed, record.epoch, done)),
        )
        assert watched == [(3, 2, 4), (4, 2, 5), (5, 2, 6), (3, 3, 7), (4, 3, 8), (5, 3, 9)]
        assert [(record.seed, record.epoch) for record in resumed.history] == [(s, e) for s in SEEDS for e in (1, 2, 3)]
        assert without_seconds(resumed.history) == without_seconds(straight.history)
        for seed, weights in straight.weights.items():
            assert all(torch.equal(tensor, resumed.weights[seed][key]) for key, tensor in weights.items())

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_run_stopped_after_every_step_goes_on_bit_for_bit(
        self, name: str, examples: Examples, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(training, "quicker_at_once", lambda device: True)
        stopped, stops = stop_at_every_step(plan(name), examples, SEEDS, tmp_path / "checkpoint")
        assert stops == 2 * 3, "the seeds take their steps together"
        assert_same_bits(stopped, train(plan(name), examples, SEEDS))

    def test_half_trained_seeds_are_asked_for_together(self, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(training, "quicker_at_once", lambda device: True)
        states: list[dict] = []
        train(plan("vanilla"), examples, [3, 4], save=lambda state: states.append(copy.deepcopy(state)))
        with pytest.raises(InputError, match="seeds 3, 4 are half trained at once, but only 4 of them are asked for"):
            train(plan("vanilla"), examples, [4, 5], resume_from=states[0])
        history = train(plan("vanilla"), examples, [5, 4, 3], resume_from=states[0]).history
        assert [record.seed for record in history] == [5, 5, 4, 4, 3, 3]

    def test_the_time_left_is_the_same_for_all_records_of_an_epoch(
        self, examples: Examples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter(range(1000))
        monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(clock)))
        monkeypatch.setattr(training, "quicker_at_once", lambda device: True)
        seen: list[tuple[float, float]] = []
        train(plan("vanilla"), examples, [3, 4], watch=lambda record, done, left: seen.append((record.seconds, round(left))))
        assert [seconds for seconds, _ in seen] == [0.5] * 4, "a second for both"
        assert seen[0][1] > 0 == seen[2][1] == seen[3][1]

    def test_a_loss_that_is_no_number_names_its_seed(self, examples: Examples) -> None:
        trainer = Trainer(plan("vanilla"), examples, SEEDS)
        with torch.no_grad():
            trainer.network.stacked[0][1] = float("nan")
        with pytest.raises(InputError, match=r"the loss of seed 4 became nan in epoch 1, step 1"):
            trainer.train_epoch()


def test_seeds_are_trained_at_once_on_a_gpu_and_one_by_one_on_a_cpu() -> None:
    assert groups(plan("proposed"), SEEDS, torch.device("cuda")) == [SEEDS]
    assert groups(plan("proposed"), SEEDS, torch.device("cpu")) == [[3], [4], [5]]
    assert groups(plan("proposed"), [], torch.device("cuda")) == []


def test_every_defense_is_tried_here() -> None:
    assert {settings["method"] for settings in SETTINGS.values()} == set(defenses.methods())


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(1, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 26**2, 10)),
        (nn.Conv2d(1, 4, 3, padding_mode="reflect"), nn.Flatten(), nn.Linear(4 * 26**2, 10)),
        (nn.Conv2d(1, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 26**2, 10)),
        (shared := nn.Conv2d(1, 1, 3), shared, nn.Flatten(), nn.Linear(24**2, 10)),
    ],
)
def test_a_network_that_cannot_be_stacked_is_trained_on_one_seed_at_a_time(
    layers: tuple[nn.Module, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="an ensemble is made of plain networks with biases"):
        Ensemble([nn.Sequential(*layers)])
    monkeypatch.setitem(NETWORKS, "other", lambda: nn.Sequential(*layers))
    assert groups(plan("vanilla", network="other"), SEEDS, torch.device("cuda")) == [[3], [4], [5]]


def test_an_activation_used_twice_is_run_twice() -> None:
    activation = nn.ReLU()
    networks = [
        nn.Sequential(nn.Conv2d(1, 2, 3), activation, nn.Conv2d(2, 2, 3), activation, nn.Flatten(), nn.Linear(2 * 24**2, 3))
        for _ in SEEDS
    ]
    x = images(2)[0].float()
    for logits, network, own in zip(Ensemble(networks)(x), networks, x, strict=True):
        assert torch.allclose(logits, network(own), atol=1e-5)


def test_a_defense_that_does_not_know_of_seeds_is_trained_on_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from advtrain.defenses.proposed import Proposed

    monkeypatch.setattr(Proposed, "several_seeds", defenses.Defense.several_seeds)
    assert groups(plan("proposed"), SEEDS, torch.device("cuda")) == [[3], [4], [5]]
