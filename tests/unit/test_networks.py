"""The two networks, their first weights, and predictions."""

import pytest
import torch

from advtrain.networks.plain import initialise, new_network, predict, predict_all, small_cnn
from advtrain.system.errors import InputError
from synthetic import Noisy


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("small_cnn", (4 * 4 * 1 + 1) * 16 + (4 * 4 * 16 + 1) * 32 + (7 * 7 * 32 + 1) * 100 + (100 + 1) * 10),
        ("madry_cnn", (5 * 5 * 1 + 1) * 32 + (5 * 5 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024 + (1024 + 1) * 10),
    ],
)
def test_a_network_has_its_source_s_parameters_and_maps_images_to_ten_logits(name: str, parameters: int) -> None:
    network = new_network(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(torch.rand(3, 1, 28, 28)).shape == (3, 10)


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
    model, x = Noisy().train(), torch.rand(4, 1, 4, 4).requires_grad_()
    logits, in_parts = predict(model, x), predict_all(model, x, batch_size=3)
    assert not logits.requires_grad
    assert model.training
    assert model.drop.training
    assert torch.equal(logits, model.eval()(x))
    assert torch.allclose(logits, in_parts)
