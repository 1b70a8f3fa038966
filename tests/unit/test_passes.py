"""The price in passes: a forward-backward pair over an image is one, of an attack's step and of the update alike."""

from typing import Any

import pytest
import torch

from advtrain.attacks.gradient import bim, fgsm
from advtrain.data.examples import Examples
from advtrain.networks.plain import predict, small_cnn
from advtrain.training.passes import counted, passes_per_image
from advtrain.training.trainer import Trainer
from trainings import ALONE, GUIDED, MIXED, PROPOSED, STOPPING, TRUE, plan

PREDICTED = {"labels": "predicted"}


@pytest.mark.parametrize(
    ("defense", "passes"),
    [
        ({"method": "vanilla"}, 1),
        ({"method": "fgsm_adv", **TRUE}, 3),
        ({"method": "atda", **TRUE}, 3),
        (PROPOSED, 3),
        ({"method": "bim_adv", "iterations": 10, **TRUE}, 12),
        ({"method": "bim_adv", "iterations": 30, **TRUE}, 32),
        ({"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", **ALONE}, 2),
        ({"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", **MIXED}, 3),
        ({"method": "n_fgsm", "noise_factor": 2, "attack_mode": "evaluation", **ALONE}, 2),
        ({"method": "zero_grad", "quantile": 0.35, "attack_mode": "evaluation", **ALONE}, 2),
        ({"method": "sora", **ALONE}, 2),
        ({"method": "sora", **MIXED}, 3),
        ({"method": "atta", "step_divisor": 30, "reset_epochs": 2, "start_noise": 0.001, **ALONE}, 2),
        ({"method": "free_at", "replays": 8}, 8),
        ({"method": "fgsm_ep", **GUIDED}, (2 + 3) / 2),
        ({"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2}, (2 + 3) / 2),
        ({"method": "fgsm_pco", **GUIDED}, (3 + 4) / 2),
        ({"method": "grad_align", "alignment": 0.2, **ALONE}, (3 + 4) / 2),
        ({"method": "pgd_at", "iterations": 40, "step_divisor": 30, **STOPPING, **ALONE}, 41),
        ({"method": "trades", "iterations": 40, "step_divisor": 30, "beta": 1}, 42),
        ({"method": "fgsm_adv", **PREDICTED}, 3.5),
        ({"method": "atda", **PREDICTED}, 3.5),
        (PROPOSED | PREDICTED, 3.5),
        ({"method": "bim_adv", "iterations": 10, **PREDICTED}, 12.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [32, 40])
def test_a_defense_costs_a_pass_for_each_attack_step_and_for_each_half_of_the_update(
    defense: dict[str, Any], passes: float, batch_size: int, examples: Examples
) -> None:
    """Predicted labels cost a forward pass more. With 40, two of the three minibatches are counted."""
    assert passes_per_image(plan("vanilla", defense=defense, batch_size=batch_size), examples) == passes


def test_a_minibatch_that_is_not_full_counts_by_its_images(examples: Examples) -> None:
    assert passes_per_image(plan("fgsm_adv", batch_size=60), examples) == 3


def test_forward_and_backward_are_counted_apart_and_no_longer_than_asked_for(examples: Examples) -> None:
    network, x, y = small_cnn(), examples.x[:8], examples.y[:8]
    with counted(network) as passes:
        predict(network, x)
        assert (passes.forward, passes.backward, passes.pairs) == (8, 0, 4)
        fgsm(network, x, y, epsilon=0.1)
        assert (passes.forward, passes.backward) == (16, 8)
        bim(network, x, y, epsilon=0.1, step_size=0.1, iterations=3)
        assert (passes.forward, passes.backward) == (40, 32)
        network(x).sum().backward()
        assert (passes.forward, passes.backward) == (48, 40)
    predict(network, x)
    assert passes.forward == 48
    assert not network._forward_hooks


def test_seeds_that_are_trained_at_once_are_images_of_their_own(examples: Examples) -> None:
    trainer = Trainer(plan("fgsm_adv", seeds=(3, 4)), examples, [3, 4])
    with counted(trainer.network) as passes:
        trainer.step(trainer.minibatches(trainer.start_epoch(0))[0])
    assert passes.pairs == 3 * 2 * 32


def test_counting_changes_no_draw_of_torch(examples: Examples) -> None:
    before = torch.get_rng_state()
    passes_per_image(plan("proposed"), examples)
    assert torch.equal(torch.get_rng_state(), before)
