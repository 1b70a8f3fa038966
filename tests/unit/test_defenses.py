"""Each defense's loss against a slow, literal version of its formula."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from advtrain import defenses
from advtrain.attacks.gradient import bim, fgsm
from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.defenses.atda import Atda, coral, margin, mmd, moved_centres
from advtrain.defenses.base import Outcome
from advtrain.defenses.proposed import Proposed
from advtrain.networks.own import SeededDropout
from advtrain.networks.plain import initialise, small_cnn
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom
from agreement import agree, largest_difference
from trainings import ALONE, GUIDED, RECIPES, STOPPING, TRUE

EPSILON = 0.3
N = 12


@pytest.fixture
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network


def outcome(settings: dict, network: nn.Module, data: Examples) -> Outcome:
    """Of the first images; a defense leaves the images alone."""
    before = data.x.clone()
    defense = registry.create(settings, epsilon=EPSILON)
    defense.start_training(data.x)
    defense.start_epoch(0)
    found = defense.outcome(network, data.x[:N], data.y[:N], torch.arange(N))
    assert torch.equal(data.x, before)
    return found


def assert_same_loss_and_gradient(found: Tensor, expected: Tensor, network: nn.Module) -> None:
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = [torch.autograd.grad(loss, list(network.parameters()), retain_graph=True) for loss in (found, expected)]
    for ours, literal in zip(*gradients, strict=True):
        assert largest_difference(ours, literal) < 1e-4


def test_vanilla_is_the_cross_entropy_of_the_clean_images(network: nn.Module, examples: Examples) -> None:
    found = outcome({"method": "vanilla"}, network, examples)
    assert_same_loss_and_gradient(found.loss, F.cross_entropy(network(examples.x[:N]), examples.y[:N]), network)
    assert found.adversarial_logits is None


@pytest.mark.parametrize("labels", ["ground_truth", "predicted"])
@pytest.mark.parametrize(
    ("settings", "n"),
    [({"method": "fgsm_adv"}, 1), ({"method": "bim_adv", "iterations": 2}, 2), ({"method": "bim_adv", "iterations": 10}, 10)],
)
def test_a_mixture_is_half_clean_and_half_attacked_on_true_or_predicted_labels(
    settings: dict, n: int, labels: str, network: nn.Module, examples: Examples
) -> None:
    x, y = examples.x[:N], examples.y[:N]
    attacked = network(x).argmax(dim=1) if labels == "predicted" else y
    assert (network(x).argmax(dim=1) != y).any(), "an untrained network should be wrong somewhere"
    x_adv = bim(network, x, attacked, epsilon=EPSILON, step_size=EPSILON / n, iterations=n)
    expected = (F.cross_entropy(network(x), y) + F.cross_entropy(network(x_adv), y)) / 2
    found = outcome({**settings, "labels": labels}, network, examples)
    assert_same_loss_and_gradient(found.loss, expected, network)


class TestProposed:
    """Section IV: one step an epoch from where the epoch before left the examples; reset every `reset_epochs`."""

    @pytest.fixture
    def defense(self, examples: Examples) -> Proposed:
        defense = Proposed(epsilon=EPSILON, step_divisor=10, reset_epochs=20, **TRUE)
        defense.start_training(examples.x)
        return defense

    def run_epochs(self, defense: Proposed, network: nn.Module, data: Examples, epochs: range) -> None:
        for epoch in epochs:
            defense.start_epoch(epoch)
            for index in torch.arange(len(data)).split(32):
                found = defense.outcome(network, data.x[index], data.y[index], index)
                clean, carried = (F.cross_entropy(network(x[index]), data.y[index]) for x in (data.x, defense.x_adv))
                assert found.loss.item() == pytest.approx((clean + carried).item() / 2, rel=1e-5)

    def test_examples_are_written_back_unsorted_where_all_else_is_to_be_deterministic(
        self, defense: Proposed, network: nn.Module, examples: Examples
    ) -> None:
        """A minibatch has no image twice; on CUDA torch's sort of it would take longer than the write."""
        modes: dict[str, set[bool]] = {}

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
                modes.setdefault(func.overloadpacket.__name__, set()).add(torch.are_deterministic_algorithms_enabled())
                return func(*args, **(kwargs or {}))

        torch.set_deterministic_debug_mode("warn")
        try:
            with Watch():
                self.run_epochs(defense, network, examples, range(1))
        finally:
            torch.set_deterministic_debug_mode("default")
        assert modes.pop("index_put_") == {False}
        assert set.union(*modes.values()) == {True}

    @pytest.mark.parametrize("k", [1, 4, 14])
    def test_k_epochs_of_a_network_that_stays_the_same_are_k_steps_of_bim_within_the_budget(
        self, k: int, defense: Proposed, network: nn.Module, examples: Examples
    ) -> None:
        self.run_epochs(defense, network, examples, range(k))
        steps = bim(network, examples.x, examples.y, epsilon=EPSILON, step_size=EPSILON / 10, iterations=k)
        assert agree(defense.x_adv, steps)
        assert (defense.x_adv - examples.x).abs().max().item() == pytest.approx(min(k, 10) * EPSILON / 10, abs=1e-6)
        assert 0 <= defense.x_adv.min() < defense.x_adv.max() <= 1

    def test_the_examples_are_reset_where_a_cycle_starts_only(self, defense: Proposed, examples: Examples) -> None:
        for epoch in (0, 1, 19, 20, 21, 39, 40):
            defense.x_adv.copy_(moved := examples.x + 0.01)
            defense.start_epoch(epoch)
            assert torch.equal(defense.x_adv, examples.x if epoch % 20 == 0 else moved)

    def test_an_epoch_costs_one_gradient_for_its_attack(self, defense: Proposed, examples: Examples) -> None:
        calls = []
        network = small_cnn()
        network.register_forward_hook(lambda module, arguments, output: calls.append(len(output)))
        defense.start_epoch(0)
        defense.outcome(network, examples.x[:8], examples.y[:8], torch.arange(8))
        assert calls == [8, 16], "one forward pass to attack, one over both halves to train"


class TestAtda:
    """The losses of the official code, entry by entry."""

    def logits(self, n: int, seed: int) -> Tensor:
        return 3 * torch.randn(n, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def test_coral_and_mmd_compare_undivided_covariances_and_means(self) -> None:
        z, a = self.logits(7, 0), self.logits(7, 1)
        covariances = [6 * np.cov(f.numpy(), rowvar=False) for f in (z, a)]
        assert coral(z, a).item() == pytest.approx(np.abs(covariances[0] - covariances[1]).mean(), rel=1e-12)
        assert mmd(z, a).item() == pytest.approx(np.abs(z.numpy().mean(0) - a.numpy().mean(0)).mean(), rel=1e-12)

    def test_margin_compares_l1_distances_to_own_and_other_centres(self) -> None:
        f, centres, labels, total = self.logits(6, 0), self.logits(10, 1), [3, 3, 0, 9, 1, 0], 0.0
        for i, label in enumerate(labels):
            distances = [(f[i] - centre).abs().sum().item() for centre in centres]
            total += sum(math.log1p(math.exp(distances[label] - other)) for j, other in enumerate(distances) if j != label)
        # torch.softplus is the identity above 20, which is off by 2e-9 there.
        assert margin(f, torch.tensor(labels), centres).item() == pytest.approx(total / (6 * 9), rel=1e-9)

    def test_centres_move_a_tenth_of_the_way_damped_by_their_members(self) -> None:
        f, centres, labels = self.logits(6, 0), self.logits(10, 1), [3, 3, 0, 9, 1, 0]
        moved = moved_centres(centres, f, torch.tensor(labels))
        for j, centre in enumerate(centres):
            members = [centre - f[i] for i in range(6) if labels[i] == j]
            step = sum(members, torch.zeros(10)) / (1 + len(members))
            assert torch.allclose(moved[j], centre - 0.1 * step, rtol=1e-12, atol=0)

    def test_the_loss_sums_both_cross_entropies_and_a_third_of_the_rest(self, network: nn.Module, examples: Examples) -> None:
        x, y = examples.x[:N], examples.y[:N]
        z, a = network(x), network(fgsm(network, x, y, epsilon=EPSILON))
        rest = coral(z, a) + mmd(z, a) + margin(torch.cat([z, a]), torch.cat([y, y]), torch.zeros(10, 10))
        expected = F.cross_entropy(z, y) + F.cross_entropy(a, y) + rest / 3
        assert_same_loss_and_gradient(outcome({"method": "atda", **TRUE}, network, examples).loss, expected, network)

    def test_the_loss_uses_the_centres_from_before_their_update(self, network: nn.Module, examples: Examples) -> None:
        defense = Atda(epsilon=EPSILON, **TRUE)
        defense.start_training(examples.x)
        first, second = (defense.outcome(network, examples.x[:N], examples.y[:N], torch.arange(N)) for _ in range(2))
        both, labels = torch.cat([first.clean_logits, first.adversarial_logits]), examples.y[:N].repeat(2)
        before = torch.zeros(10, 10)
        moved = moved_centres(before, both, labels)
        change = (margin(both, labels, moved) - margin(both, labels, before)) / 3
        assert (second.loss - first.loss).item() == pytest.approx(change.item(), rel=1e-3)
        assert not defense.centres.requires_grad


@pytest.mark.parametrize(
    ("settings", "modes"),
    [
        ({"method": "proposed", "step_divisor": 10, "reset_epochs": 20, **TRUE}, "ET"),
        ({"method": "bim_adv", "iterations": 2, **TRUE}, "EET"),
        ({"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", **ALONE}, "ET"),
        ({"method": "fast_at", "step_factor": 1.25, "attack_mode": "training", **ALONE}, "TT"),
        ({"method": "n_fgsm", "noise_factor": 2, "attack_mode": "training", **ALONE}, "TT"),
        ({"method": "zero_grad", "quantile": 0.35, "attack_mode": "training", **ALONE}, "TT"),
        ({"method": "grad_align", "alignment": 0.2, **ALONE}, "TTT"),
        ({"method": "sora", **ALONE}, "TT"),
        ({"method": "free_at", "replays": 8}, "T"),
        ({"method": "atta", "step_divisor": 30, "reset_epochs": 2, "start_noise": 0, **ALONE}, "ET"),
        ({"method": "fgsm_ep", **GUIDED}, "TT"),
        ({"method": "fgsm_pco", **GUIDED}, "TTT"),
        ({"method": "fgsm_adv", **TRUE}, "ET"),
        ({"method": "atda", **TRUE}, "ET"),
        ({"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2}, "TT"),
        ({"method": "pgd_at", "iterations": 2, "step_divisor": 4, **STOPPING, **ALONE}, "EET"),
        ({"method": "pgd_at", "iterations": 2, "step_divisor": 4, **STOPPING, "attack_mode": "training", **ALONE}, "TTT"),
        ({"method": "trades", "iterations": 2, "step_divisor": 4, "beta": 1}, "TEEET"),
    ],
    ids=lambda value: value["method"] if isinstance(value, dict) else value,
)
def test_batch_norm_is_in_evaluation_or_in_training_in_each_forward_pass_as_a_method_has_it(
    settings: dict, modes: str, examples: Examples
) -> None:
    assert modes_of(nn.BatchNorm2d(1), settings, examples) == modes


def test_trades_leads_away_from_what_a_network_with_dropout_says_in_evaluation(examples: Examples) -> None:
    dropout = SeededDropout(nn.Dropout(), SeededRandom([0], torch.device("cpu")))
    assert modes_of(dropout, {"method": "trades", "iterations": 2, "step_divisor": 4, "beta": 1}, examples) == "TEEET"


def modes_of(layer: nn.Module, settings: dict, examples: Examples) -> str:
    """Whether the first layer of a network is in Training or in Evaluation mode in each forward pass of an update."""
    seen: list[str] = []
    layer.register_forward_pre_hook(lambda module, _: seen.append("T" if module.training else "E"))
    defense = registry.create(settings, epsilon=EPSILON)
    defense.random, defense.batch_size = SeededRandom([0], torch.device("cpu")), N
    defense.start_training(examples.x)
    defense.start_epoch(0)
    defense.outcome(nn.Sequential(layer, small_cnn()), examples.x[:N], examples.y[:N], torch.arange(N))
    return "".join(seen)


def test_a_defense_is_known_by_its_file_which_defines_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"atda", "bim_adv", "fgsm_adv", "proposed", "vanilla"} <= set(registry.methods())
    assert {recipe["defense"]["method"] for recipe in RECIPES.values()} == set(registry.methods()), "these tests train each"
    (tmp_path / "empty_adv.py").write_text("")
    monkeypatch.setattr(defenses, "__path__", [*defenses.__path__, str(tmp_path)])
    with pytest.raises(InputError, match=r"empty_adv\.py defines 0 subclasses of Defense; exactly one is needed"):
        registry.create({"method": "empty_adv"}, epsilon=EPSILON)


def test_wrong_settings_are_refused_by_name() -> None:
    for settings, named in (
        ({"method": "magic"}, "'magic' is not a defense; there are atda, "),
        ({"method": "bim_adv", "iterations": 2, "steps": 3, **TRUE}, "bim_adv takes no steps"),
        ({"method": "bim_adv", **TRUE}, "bim_adv needs iterations"),
        ({"method": "bim_adv", "iterations": 0, **TRUE}, "iterations is 0"),
        ({"method": "fgsm_adv", "labels": "leaked"}, "labels is 'leaked'"),
        ({"method": "proposed", "step_divisor": 0, "reset_epochs": 20, **TRUE}, "step_divisor is 0"),
        ({"method": "proposed", "step_divisor": 10, "reset_epochs": 0, **TRUE}, "reset_epochs is 0"),
        ({"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", "trained_on": "both"}, "trained_on is 'both'"),
        ({"method": "fast_at", "step_factor": 0, "attack_mode": "evaluation", **ALONE}, "step_factor is 0"),
        ({"method": "n_fgsm", "noise_factor": -1, "attack_mode": "evaluation", **ALONE}, "noise_factor is -1"),
        ({"method": "zero_grad", "quantile": 1.1, "attack_mode": "evaluation", **ALONE}, "quantile is 1.1"),
        ({"method": "grad_align", "alignment": -1, **ALONE}, "alignment is -1"),
        ({"method": "free_at", "replays": 0}, "replays is 0"),
        ({"method": "atta", "step_divisor": 30, "reset_epochs": 2, "start_noise": -1, **ALONE}, "start_noise is -1"),
        ({"method": "fgsm_ep", "label_smoothing": 1, "regulariser": 10}, "label_smoothing is 1"),
        ({"method": "fgsm_pco", "label_smoothing": 0, "regulariser": -1}, "regulariser is -1"),
        ({"method": "fgsm_mep", **GUIDED, "decay": 1, "redraw_epochs": 2}, "decay is 1"),
        ({"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 0}, "redraw_epochs is 0"),
        ({"method": "pgd_at", "iterations": 0, "step_divisor": 4, **STOPPING, **ALONE}, "iterations is 0"),
        ({"method": "trades", "iterations": 2, "step_divisor": 4, "beta": -1}, "beta is -1"),
    ):
        with pytest.raises(InputError, match=named):
            registry.create(settings, epsilon=EPSILON)
