"""A step in bfloat16 rounds the network's products and nothing else; what watches and evaluates a training never does."""

import pytest
import torch

from advtrain.data.examples import Examples
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import first_network
from advtrain.training import trainer
from advtrain.training.bfloat16 import InBfloat16
from advtrain.training.trainer import Trainer
from trainings import plan

ROUNDING = 2**-8
"""Of a bfloat16, relative to it."""


def network(name: str, seed: int = 0) -> torch.nn.Module:
    return first_network(name, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "shape"), [("small_cnn", (1, 28, 28)), ("resnet8", (3, 32, 32))])
def test_logits_and_gradients_are_float32_and_near_the_exact_ones(name: str, shape: tuple[int, ...]) -> None:
    exact, x = network(name).eval(), torch.rand(5, *shape, requires_grad=True)
    rounded = InBfloat16(exact)
    logits = rounded(x)
    rounded_gradient, *of_weights = torch.autograd.grad(logits.square().sum(), [x, *exact.parameters()])
    (gradient,) = torch.autograd.grad(exact(x).square().sum(), x)
    assert {tensor.dtype for tensor in (logits, rounded_gradient, *of_weights)} == {torch.float32}
    assert 0 < (logits - exact(x)).abs().max() < 10 * ROUNDING * exact(x).abs().max()
    assert torch.nn.functional.cosine_similarity(gradient.flatten(), rounded_gradient.flatten(), dim=0) > 0.99


def test_networks_of_several_seeds_are_each_rounded_as_alone() -> None:
    networks, x = [network("small_cnn", seed) for seed in (1, 2)], torch.rand(2, 4, 1, 28, 28)
    logits = InBfloat16(Ensemble(networks))(x)
    for seed, of_seed in enumerate(networks):
        exact = of_seed(x[seed])
        assert 0 < (logits[seed] - exact).abs().max() < 10 * ROUNDING * exact.abs().max()


def test_a_training_steps_in_bfloat16_and_watches_in_float32(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[torch.nn.Module] = []
    watch = trainer.watch
    monkeypatch.setattr(
        trainer, "watch", lambda network, *rest, **settings: (watched.append(network), watch(network, *rest, **settings))[1]
    )
    rounded, exact = (Trainer(plan("proposed", precision=kind), examples, [3]) for kind in ("bfloat16", "float32"))
    losses = [of_kind.train_epoch()[0].loss for of_kind in (rounded, exact)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
    assert not any(isinstance(module, InBfloat16) for module in watched[0].modules())
    assert {weight.dtype for weight in rounded.weights()[3].values()} == {torch.float32}
