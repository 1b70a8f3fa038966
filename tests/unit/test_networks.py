"""The networks, their first weights, and predictions."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from advtrain.attacks.gradient import bim, fgsm, input_gradient
from advtrain.data.examples import Examples
from advtrain.networks.plain import IMAGE_SHAPES, first_network, initialise, new_network, predict, predict_all, small_cnn
from advtrain.networks.residual import PreActResNet
from advtrain.networks.trained import content, networks_of
from advtrain.system.errors import InputError
from advtrain.training.run import train
from synthetic import Noisy
from trainings import VARYING, assert_same_bits, plan, stop_at_every_step


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("preact_resnet18", 11_172_170),  # as in the code of Fast-AT
        ("resnet8", 3 * 3 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 16 * 32 + 32 * 64 + 2 * 240 + 650),
        ("small_cnn", (4 * 4 * 1 + 1) * 16 + (4 * 4 * 16 + 1) * 32 + (7 * 7 * 32 + 1) * 100 + (100 + 1) * 10),
        ("madry_cnn", (5 * 5 * 1 + 1) * 32 + (5 * 5 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024 + (1024 + 1) * 10),
    ],
)
def test_a_network_has_its_source_s_parameters_and_maps_images_to_ten_logits(name: str, parameters: int) -> None:
    network = new_network(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(torch.rand(3, *IMAGE_SHAPES[name])).shape == (3, 10)


def residual() -> PreActResNet:
    """A resnet8 in float64 whose batch norms have seen images."""
    network = first_network("resnet8", torch.Generator().manual_seed(0)).double()
    assert isinstance(network, PreActResNet)
    network(torch.rand(16, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    return network


def test_a_residual_network_is_norm_relu_convolution_twice_beside_a_shortcut() -> None:
    network, x = residual().eval(), torch.rand(2, 3, 32, 32, dtype=torch.float64)

    def conv(z: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = network.state_dict()[f"{name}.weight"]
        return F.conv2d(z, weight, stride=stride, padding=weight.shape[-1] // 2)

    def active(z: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            network.state_dict()[f"{name}.{kind}"].view(-1, 1, 1) for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return ((z - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)

    z = conv(x, "conv")
    for block, stride in ((0, 1), (1, 2), (2, 2)):
        at = f"blocks.{block}"
        inside = active(z, f"{at}.norm1")
        beside = conv(inside, f"{at}.shortcut", stride) if stride == 2 else z
        z = beside + conv(active(conv(inside, f"{at}.conv1", stride), f"{at}.norm2"), f"{at}.conv2")
    expected = active(z, "norm").mean((2, 3)) @ network.out.weight.T + network.out.bias
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)


def test_an_attack_sees_a_residual_network_in_evaluation_mode_and_moves_no_average() -> None:
    network = residual().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x, y = torch.rand(6, 3, 32, 32, dtype=torch.float64), torch.arange(6)
    together = fgsm(network, x, y, epsilon=0.03)
    alone = torch.cat([fgsm(network, x[i : i + 1], y[i : i + 1], epsilon=0.03) for i in range(6)])
    assert torch.equal(together, alone), "an image's example does not depend on its minibatch"
    bim(network, x, y, epsilon=0.03, step_size=0.01, iterations=2)
    gradient, _ = input_gradient(network, x, y)
    assert gradient.all(), "no pixel is without gradient"
    assert network.norm.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("recipe", "precision", "updates"),
    [
        ("proposed", "float32", 1),
        ("fast_at", "bfloat16", 1),
        ("free_at on moved images", "float32", 2),
        ("fgsm_mep on moved images", "bfloat16", 2),
        ("fgsm_mep not aligned", "float32", 2),
    ],
)
def test_a_training_of_a_residual_network_stopped_after_each_step_ends_with_the_same_bits(
    recipe: str, precision: str, updates: int, colour_examples: Examples, tmp_path: Path
) -> None:
    """By the optimiser of config/cifar10.yaml, at rates that rise and fall; `updates` of batch norm's averages in a step."""
    settings = {"network": "resnet8", "epsilon": 8 / 255, "seeds": (0, 1), "epochs": 2, "batch_size": 16}
    of_it = plan(recipe, **settings, optimiser="sgd", momentum=0.9, precision=precision, **VARYING)
    whole = train(of_it, colour_examples)
    stopped, stops = stop_at_every_step(of_it, colour_examples, tmp_path / "checkpoint")
    assert stops == 2 * 2 * 3
    assert_same_bits(stopped, whole)
    assert not torch.equal(whole.weights[0]["conv.weight"], whole.weights[1]["conv.weight"])
    again = networks_of(content("resnet8", whole.weights), colour_examples)
    assert again[1].norm.num_batches_tracked == 2 * 3 * updates
    assert torch.equal(again[1].norm.running_var, whole.weights[1]["norm.running_var"])


def test_initial_weights_are_glorot_uniform_with_zero_biases() -> None:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    layer = network[5]
    bound = (6 / (1568 + 100)) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not layer.bias.any()


def test_a_new_network_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    new_network("small_cnn")
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="network 'large_cnn'"):
        new_network("large_cnn")


def test_a_prediction_is_made_in_evaluation_mode_without_a_graph_and_the_mode_comes_back() -> None:
    model, x = Noisy().double().train(), torch.rand(4, 1, 4, 4, dtype=torch.float64).requires_grad_()
    logits, in_parts = predict(model, x), predict_all(model, x, batch_size=3)
    assert not logits.requires_grad
    assert model.training
    assert model.drop.training
    assert torch.equal(logits, model.eval()(x))
    assert torch.allclose(logits, in_parts)
