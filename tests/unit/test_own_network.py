"""A user's own network: how it is found, its first weights, what its layers may do, and where it meets the images."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import train as train_script
from advtrain.attacks.gradient import fgsm
from advtrain.data.examples import Examples
from advtrain.data.idx import IDX_FILES
from advtrain.fast.cpu import frozen
from advtrain.networks import own
from advtrain.networks.ensemble import can_be_stacked
from advtrain.networks.own import SeededDropout, seed_dropout
from advtrain.networks.plain import check_fits, first_network, new_network
from advtrain.networks.trained import content, load_networks
from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from advtrain.system.randomness import SeededRandom
from advtrain.training.run import train
from killing import checkpoints
from synthetic import write_synthetic_dataset
from trainings import assert_same_bits, plan, stop_at_every_step

NETWORKS = """
from torch import Tensor, nn
from torch.nn import functional as F


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 4, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout2d(0.5)
        self.out = nn.Linear(4 * 49, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        return self.out(self.drop(x + self.second(x)).flatten(1))


def residual():
    return Residual()


def drops_by_itself():
    class Drops(nn.Sequential):
        def forward(self, x):
            return F.dropout(super().forward(x), training=self.training)

    return Drops(nn.Flatten(), nn.Linear(784, 10))


def fails():
    return nn.Linear(-1, 10)


def no_network():
    return 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where nets.py is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETWORKS)
    own._module.cache_clear()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.py:mlp", "nothing.py: no such file"),
        ("nets.py:mpl", "nets.py has no function mpl"),
        ("nets.py:fails", "nets.py, line 37: RuntimeError"),
        ("nets.py:no_network", r"no_network\(\) gives int"),
    ],
)
def test_what_is_wrong_with_the_file_is_one_line_that_names_it(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        new_network(name)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_python_is_named_with_the_line(folder: Path) -> None:
    (folder / "nets.py").write_text("x = 1\nimport nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"nets.py, line 2: ModuleNotFoundError"):
        new_network("nets.py:mlp")


def test_its_first_weights_are_those_of_its_function_other_for_each_seed_and_the_same_again() -> None:
    before = torch.get_rng_state()
    one, again, other = (first_network("nets.py:mlp", torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one[1].weight, again[1].weight)
    assert not torch.equal(one[1].weight, other[1].weight)
    assert one[1].bias.any(), "those of PyTorch: ours are zero"


@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_a_training_of_it_stopped_after_each_step_ends_with_the_same_bits(name: str, examples: Examples, folder: Path) -> None:
    """Batch norm's averages and what dropout draws included."""
    of_it = plan("fgsm_adv", network=f"nets.py:{name}", seeds=(0, 1), epochs=2)
    whole = train(of_it, examples)
    stopped, stops = stop_at_every_step(of_it, examples, folder / "checkpoint")
    assert stops > 2
    assert_same_bits(stopped, whole)


def test_a_trained_one_comes_back_with_all_its_state_and_not_after_its_file_has_changed(
    examples: Examples, folder: Path
) -> None:
    trained = train(plan("vanilla", network="nets.py:residual"), examples)
    checkpoint.save(folder / "m.pt", content("nets.py:residual", trained.weights))
    (network,) = load_networks(folder / "m.pt", examples).values()
    assert network.norm.num_batches_tracked == 9
    assert torch.equal(network.norm.running_var, trained.weights[3]["norm.running_var"])
    (folder / "nets.py").write_text(NETWORKS.replace("relu()", "tanh()"))
    with pytest.raises(InputError, match=r"the file of its network nets.py:residual has changed"):
        load_networks(folder / "m.pt", examples)


def test_a_training_begun_with_another_file_is_not_resumed(folder: Path) -> None:
    write_synthetic_dataset(folder / "data", seed=0)
    of_it = dataclasses.asdict(plan("vanilla", network="nets.py:mlp"))
    files = {"images": IDX_FILES[0], "labels": IDX_FILES[1]}
    options = {"dataset": "mnist", "defense": "vanilla", "plan": json.dumps(of_it), "checkpoint-epochs": "1", "device": "cpu"}
    options |= {name: str(folder / "data" / file) for name, file in files.items()} | {"cuda-graph": "false"}
    options |= {name: str(folder / name) for name in ("checkpoint", "model", "history")}

    def run(killed_after: int | None = None) -> str:
        with checkpoints(killed_after):
            return CliRunner().invoke(train_script.main, [f"--{name}={value}" for name, value in options.items()]).output

    run(killed_after=1)
    assert (folder / "checkpoint").exists()
    (folder / "nets.py").write_text(NETWORKS.replace("nn.ReLU()", "nn.Tanh()"))
    assert "checkpoint of another configuration (source was" in run()
    assert not (folder / "model").exists()
    (folder / "nets.py").write_text(NETWORKS)
    assert "resumes from a checkpoint" in run()
    assert (folder / "model").exists()


def test_an_attack_in_training_sees_it_in_evaluation_mode_and_moves_no_average(examples: Examples) -> None:
    network = new_network("nets.py:residual")
    seed_dropout(network, SeededRandom([0], torch.device("cpu")))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    once, again = (fgsm(network, examples.x, examples.y, epsilon=0.1) for _ in range(2))
    assert torch.equal(once, again)
    assert network.drop.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.Dropout, (300, 20)), (nn.Dropout2d, (300, 20, 3, 3)), (nn.Dropout1d, (300, 20, 3))]
)
def test_seeded_dropout_drops_as_torch_s_does_from_its_own_generator(kind: type, shape: tuple[int, ...]) -> None:
    layer, x = SeededDropout(kind(0.25), SeededRandom([0], torch.device("cpu"))), torch.ones(shape)
    dropped = layer(x).flatten(2) if len(shape) > 2 else layer(x).unsqueeze(-1)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == dropped[..., :1]).all(), "whole channels"
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


def test_a_network_that_draws_from_the_global_generator_is_refused(examples: Examples) -> None:
    with pytest.raises(InputError, match=r"in a network of your own by nn\.Dropout"):
        train(plan("vanilla", network="nets.py:drops_by_itself"), examples)


def test_none_of_them_is_taken_for_one_with_a_quicker_form() -> None:
    for name in ("mlp", "residual"):
        network = new_network(f"nets.py:{name}")
        assert not can_be_stacked(network)
        assert frozen(network) is network


def images(*shape: int, classes: int = 10) -> Examples:
    return Examples(torch.rand(4, *shape), torch.arange(4) % classes, classes=classes)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("small_cnn", images(3, 32, 32), "images are 3x32x32 in 10 classes, small_cnn is for 1x28x28 in 10: bring a network"),
        ("madry_cnn", images(1, 28, 28, classes=26), "images are 1x28x28 in 26 classes, madry_cnn is for 1x28x28 in 10"),
        ("small_cnn", images(1, 29, 29), "images are 1x29x29"),
        ("resnet8", images(1, 28, 28), "images are 1x28x28 in 10 classes, resnet8 is for 3x32x32 in 10"),
        ("nets.py:mlp", images(1, 8, 8), r"1x8x8 in 10 classes, which network nets.py:mlp does not take: .*mat1"),
        ("nets.py:mlp", images(1, 28, 28, classes=7), r"nets.py:mlp gives \[10\] for each, expected 7 logits"),
    ],
)
def test_a_network_that_does_not_fit_the_images_is_one_line(name: str, data: Examples, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_fits(new_network(name), name, data)


def test_a_plain_network_on_images_that_are_no_square_is_the_same_when_frozen() -> None:
    """Its maps, 4 by 9, have as many places as a square of 6."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 10))
    x = torch.rand(5, 1, 4, 9)
    torch.testing.assert_close(frozen(network)(x), network(x))
