"""What is watched after each epoch, and the images that are held out for it."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from advtrain.data.examples import Examples
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import initialise, new_network
from advtrain.system.errors import InputError
from advtrain.training.run import train
from advtrain.training.watch import Watched, alignment, watch
from trainings import assert_same_tensors, plan


class Bending(nn.Module):
    """Right where the mean of the image is near 0.5 or 0.86, and wrong between."""

    def forward(self, x: Tensor) -> Tensor:
        lead = torch.cos(2 * torch.pi / 0.36 * (x.mean((-3, -2, -1)) - 0.5))
        return torch.stack([lead, torch.zeros_like(lead)], dim=-1)


def watched(network: nn.Module, data: Examples, **changes: float) -> Watched:
    (seen,) = watch(network, data, 1, **{"epsilon": 0.1, "iterations": 10} | changes)  # type: ignore[arg-type]
    return seen


def test_of_two_classes_a_straight_loss_has_alignment_1_and_attacks_that_agree() -> None:
    """With two classes the gradient has one direction; nothing is clipped at [0, 1]."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    x = torch.rand(40, 1, 28, 28) * 0.4 + 0.3
    seen = watched(network, Examples(x, network(x).argmax(dim=1)), epsilon=0.01)
    assert seen.alignment == pytest.approx(1, abs=1e-5)
    assert 0 < seen.fgsm_accuracy == seen.robust_accuracy == seen.pgd_accuracy < 1


def test_where_the_loss_bends_within_the_step_pgd_finds_what_fgsm_misses() -> None:
    x = torch.full((8, 1, 28, 28), 0.5) + torch.linspace(0.002, 0.008, 8).view(8, 1, 1, 1)
    seen = watched(Bending(), Examples(x, torch.zeros(8, dtype=torch.int64)), epsilon=0.35)
    assert seen.alignment == pytest.approx(-1, abs=1e-5)
    assert (seen.fgsm_accuracy, seen.pgd_accuracy) == (1, 0)


def test_an_ensemble_is_watched_as_its_networks_are_one_by_one(examples: Examples) -> None:
    networks = [new_network("small_cnn") for _ in range(3)]
    for seed, network in enumerate(networks):
        initialise(network, torch.Generator().manual_seed(seed))
    together = list(watch(Ensemble(networks), examples, 3, epsilon=0.3, iterations=3))
    for network, seen in zip(networks, together, strict=True):
        alone = watched(network, examples, epsilon=0.3, iterations=3)
        assert dataclasses.astuple(seen) == pytest.approx(dataclasses.astuple(alone), abs=1e-5)


def test_of_a_network_that_is_sure_the_alignment_is_right_and_without_a_gradient_it_is_no_number() -> None:
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    lines = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    with torch.no_grad():
        lines[1].bias[0] += 70  # a gradient of 1e-31, of which float32 squares none
    assert alignment(lines, x, torch.zeros(8, dtype=torch.int64), epsilon=0.1).tolist() == pytest.approx([1] * 8)
    with torch.no_grad():
        lines[1].weight.zero_()
    assert alignment(lines, x, torch.zeros(8, dtype=torch.int64), epsilon=0.1).isnan().all()


def test_images_held_out_are_watched_and_not_trained_on(examples: Examples) -> None:
    """Training is that on the other images alone; changing those held out changes what is seen, and nothing else."""
    held_out = plan("proposed", held_out_examples=32)
    changed = Examples(torch.cat([examples.x[:64], 1 - examples.x[64:]]), examples.y)
    one, other = train(held_out, examples), train(held_out, changed)
    alone = train(plan("proposed", examples=64), examples.first(64))
    assert_same_tensors(one.weights[3], other.weights[3])
    assert_same_tensors(one.weights[3], alone.weights[3])
    assert [record.alignment for record in one.history] != [record.alignment for record in other.history]
    assert alone.best == {}


def test_the_best_weights_are_those_of_the_epoch_with_the_highest_accuracy_under_pgd(examples: Examples) -> None:
    settings = {"held_out_examples": 32, "learning_rate": 0.02, "seeds": (3, 4), "batch_size": 16}
    trained = train(plan("fgsm_adv", epochs=8, **settings), examples)
    earlier = 0
    for seed, best in trained.best.items():
        accuracies = [record.pgd_accuracy for record in trained.history if record.seed == seed]
        assert best["epoch"] == 1 + accuracies.index(max(accuracies))
        stopped = train(plan("fgsm_adv", epochs=best["epoch"], **settings), examples)
        assert_same_tensors(best["weights"], stopped.weights[seed])
        earlier += best["epoch"] < 8
    assert earlier, "else the last epoch's weights would pass as well"


@pytest.mark.parametrize("held_out", [-1, 96])
def test_at_least_one_image_is_left_to_train_on(held_out: int) -> None:
    with pytest.raises(InputError, match=f"held_out_examples is {held_out}; it has to be at least 0 and below examples, 96"):
        plan("vanilla", held_out_examples=held_out)
