"""Several seeds trained at once are the seeds trained one by one."""

import pytest
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.defenses.base import Defense, seed_rows
from advtrain.defenses.proposed import Proposed
from advtrain.evaluation.paper_attacks import FixedStep, Sweep, Trace, fixed_step_bim, sweep_bim, trace_bim
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import NETWORKS, PLAIN, RESIDUAL, initialise, new_network
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom
from advtrain.training import run, trainer
from advtrain.training.run import groups, train
from advtrain.training.trainer import Trainer
from agreement import largest_difference
from trainings import RECIPES, plan, states_of

SEEDS = [3, 4, 5]
CUDA, CPU = torch.device("cuda"), torch.device("cpu")


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


@pytest.mark.parametrize("name", PLAIN)
def test_each_network_has_its_own_logits_and_adversarial_examples_of_its_own_images(name: str) -> None:
    networks, (x, y) = networks_of(name), images(3)
    budget = {"epsilon": 0.3, "step_size": 0.1, "iterations": 3}
    ensemble = Ensemble(networks)
    for logits, x_adv, network, own, labels in zip(ensemble(x), bim(ensemble, x, y, **budget), networks, x, y, strict=True):
        assert largest_difference(logits, network(own)) < 1e-12
        assert largest_difference(x_adv, bim(network, own, labels, **budget)) < 1e-12


def test_the_paper_s_evaluations_have_each_network_s_own_row_in_turn(examples: Examples) -> None:
    """In batches that do not divide the images; float32, where rounding has not turned a decision of these."""
    networks = [network.float() for network in networks_of("small_cnn")]
    on_images = {"epsilon": 0.1, "examples": 96, "subset_seed": 0}
    sweep = Sweep(**on_images, iterations=(2, 3), fixed_step=FixedStep(divisor=10, iterations=(1, 2)))
    for evaluate, settings in ((sweep_bim, sweep), (fixed_step_bim, sweep), (trace_bim, Trace(**on_images, iterations=2))):
        together = list(evaluate(Ensemble(networks), examples, settings, batch_size=20))
        alone = [list(evaluate(network, examples, settings, batch_size=20)) for network in networks]
        assert together == [row for rows in zip(*alone, strict=True) for row in rows]


def test_a_minibatch_s_rows_are_those_of_each_seed_s_own_index_and_a_write_to_them_changes_what_is_kept() -> None:
    kept, _ = images(5)
    before, index = kept.clone(), torch.tensor([[4, 0], [1, 4], [0, 3]])
    rows, places = seed_rows(kept, index)
    assert torch.equal(rows[places], torch.stack([kept[seed, own] for seed, own in enumerate(index)]))
    rows[places] = -1.0
    for seed, own in enumerate(index):
        before[seed, own] = -1.0
    assert torch.equal(kept, before)
    rows, places = seed_rows(kept[0], index[0])
    assert torch.equal(rows[places], kept[0, index[0]])


@pytest.mark.parametrize("name", RECIPES)
def test_every_defense_has_each_seed_s_own_loss_and_gradient(name: str) -> None:
    """Over two minibatches that share images, so that what a defense keeps for each seed counts."""
    networks, (x, y) = networks_of("small_cnn"), images(8)
    minibatches = [torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [1, 3, 5, 7]]), torch.tensor([[2, 3, 4, 5]] * 3)]
    ensemble = Ensemble(networks)
    together = losses(name, ensemble, x, y, minibatches, SEEDS)
    for place, (seed, network) in enumerate(zip(SEEDS, networks, strict=True)):
        alone = losses(name, network, x[place], y[place], [index[place] for index in minibatches], [seed])
        for ours, own in zip(together, alone, strict=True):
            assert ours[place].item() == pytest.approx(own.item(), rel=1e-12)
        for stacked, weight in zip(ensemble.parameters(), network.parameters(), strict=True):
            assert largest_difference(stacked.grad[place], weight.grad) < 1e-11


def losses(name: str, network: nn.Module, x: Tensor, y: Tensor, minibatches: list[Tensor], seeds: list[int]) -> list[Tensor]:
    """The losses of the minibatches; the gradient of their sum stays in the weights."""
    defense = registry.create(RECIPES[name]["defense"], epsilon=0.3)
    defense.random, defense.batch_size = SeededRandom(seeds, CPU), 4
    defense.start_training(x)
    if name == "atda":
        defense.centres = defense.centres.double()
    defense.start_epoch(0)

    def taken(tensor: Tensor, index: Tensor) -> Tensor:
        rows, places = seed_rows(tensor, index)
        return rows[places]

    found = []
    for index in minibatches:
        loss = defense.outcome(network, taken(x, index), taken(y, index), index).loss
        loss.sum().backward()
        found.append(loss)
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_an_epoch_of_all_seeds_is_an_epoch_of_each(name: str, examples: Examples) -> None:
    """One epoch: rounding turns the sign of a gradient here and there, and trainings drift apart from then on.

    The first step of TRADES follows little but rounding, and a minibatch of Free-AT is several updates.
    """
    tolerance = {"trades": 0.5, "free_at": 0.1}.get(name, 0.02)
    together = Trainer(plan(name), examples, SEEDS)
    records = together.train_epoch()
    for record, (seed, weights) in zip(records, together.weights().items(), strict=True):
        alone = Trainer(plan(name), examples, [seed])
        (own,) = alone.train_epoch()
        assert (record.seed, record.epoch) == (seed, 1)
        assert record.loss == pytest.approx(own.loss, rel=1e-3)
        for accuracy in ("clean_accuracy", "adversarial_accuracy", "robust_accuracy"):
            assert getattr(record, accuracy) == pytest.approx(getattr(own, accuracy), abs=1 / 20, nan_ok=True)
        assert weights.keys() == alone.weights()[seed].keys()
        for key, tensor in alone.weights()[seed].items():
            assert largest_difference(weights[key], tensor) < tolerance


def test_half_trained_seeds_are_asked_for_together(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "is_quicker_together", lambda device: True)
    after_one_epoch = states_of(plan("vanilla", seeds=(3, 4)), examples)[0]
    with pytest.raises(InputError, match="seeds 3, 4 are half trained at once, but only 4 of them"):
        train(plan("vanilla", seeds=(4, 5)), examples, resume_from=after_one_epoch)
    history = train(plan("vanilla", seeds=(5, 4, 3), epochs=2), examples, resume_from=after_one_epoch).history
    assert [(record.seed, record.epoch) for record in history] == [(s, e) for s in (5, 4, 3) for e in (1, 2)]


def test_seeds_share_an_epoch_s_seconds_and_not_a_broken_loss(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: float(next(clock)))
    training = Trainer(plan("vanilla"), examples, SEEDS)
    assert [record.seconds for record in training.train_epoch()] == [1 / 3] * 3, "a second for all"
    with torch.no_grad():
        training.network.stacked[0][1] = float("nan")
    with pytest.raises(InputError, match="the loss of seed 4 became nan in epoch 2, step 1"):
        training.train_epoch()


def test_seeds_are_trained_at_once_on_a_gpu_if_the_defense_knows_of_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups(plan("proposed"), SEEDS, CUDA) == [SEEDS]
    assert groups(plan("proposed"), [], CUDA) == []
    assert groups(plan("proposed"), SEEDS, CPU) == [[3], [4], [5]]
    monkeypatch.setattr(Proposed, "several_seeds", Defense.several_seeds)
    assert groups(plan("proposed"), SEEDS, CUDA) == [[3], [4], [5]]


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_residual_network_is_trained_on_one_seed_at_a_time(name: str) -> None:
    assert groups(plan("vanilla", network=name), SEEDS, CUDA) == [[3], [4], [5]]


def test_a_network_that_cannot_be_stacked_is_trained_on_one_seed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    twice, dense = nn.Conv2d(1, 1, 3), nn.Linear(24**2, 10)
    for layers in ([nn.Conv2d(1, 1, 5, bias=False)], [nn.Conv2d(1, 1, 5), nn.Dropout()], [twice, twice]):
        network = nn.Sequential(*layers, nn.Flatten(), dense)
        with pytest.raises(InputError, match="an ensemble is made of"):
            Ensemble([network])
        monkeypatch.setitem(NETWORKS, "other", lambda network=network: network)
        assert groups(plan("vanilla", network="other"), SEEDS, CUDA) == [[3], [4], [5]]
