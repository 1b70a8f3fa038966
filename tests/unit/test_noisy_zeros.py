"""A pixel without gradient is moved up or down at random, every other one as without noise."""

import pytest
import torch

from advtrain.attacks.gradient import fgsm, input_gradient
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import new_network
from advtrain.system.randomness import SeededRandom
from advtrain.training.noisy_zeros import NoisyZeros


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_only_zeros_get_signs_and_each_seed_its_own(seeds: list[int]) -> None:
    networks = [new_network("small_cnn") for _ in seeds]
    for network in networks:
        torch.nn.init.constant_(network[0].bias, -0.1)
    network = Ensemble(networks) if len(seeds) > 1 else networks[0]
    x = torch.zeros(*[len(seeds)] * (len(seeds) > 1), 6, 1, 28, 28)
    x[..., 10:18, 10:18] = torch.rand(8, 8)
    y = torch.arange(6).expand(x.shape[:-3])
    plain, _ = input_gradient(network, x, y)
    noisy = NoisyZeros(network, SeededRandom(seeds, torch.device("cpu")))
    gradient, logits = input_gradient(noisy.frozen(), x, y)
    zero = plain == 0
    assert 0.1 < zero.double().mean() < 0.9
    torch.testing.assert_close(logits, network(x))
    assert torch.equal(gradient[~zero].sign(), plain[~zero].sign())
    assert 0.4 < (gradient[zero] > 0).double().mean() < 0.6
    assert (gradient[zero] != 0).all()
    moved = fgsm(noisy, torch.full_like(x, 0.5), y, epsilon=0.1)
    assert ((moved - 0.5).abs() > 0.09).all()
    if len(seeds) > 1:
        assert not torch.equal(gradient[0].sign(), gradient[1].sign())
