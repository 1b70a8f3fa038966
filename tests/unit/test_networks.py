import pytest
import torch

from advtrain.networks.plain import NETWORKS, initialise, madry_cnn, new_network, small_cnn


def test_small_cnn_has_the_parameters_of_atda_s_network() -> None:
    assert sum(parameter.numel() for parameter in small_cnn().parameters()) == 166_406


def test_madry_cnn_has_the_parameters_of_madry_s_network() -> None:
    # 5*5*32 + 32, 5*5*32*64 + 64, 7*7*64*1024 + 1024, 1024*10 + 10
    assert sum(parameter.numel() for parameter in madry_cnn().parameters()) == 832 + 51_264 + 3_212_288 + 10_250


def test_networks_map_images_to_ten_logits() -> None:
    for make in NETWORKS.values():
        assert make()(torch.rand(3, 1, 28, 28)).shape == (3, 10)


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
