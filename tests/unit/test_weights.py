"""Weights from elsewhere: whatever their file, names, order and type, the network that they make is the one they are of."""

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import import_weights
from advtrain.data.examples import Examples
from advtrain.data.idx import write_idx
from advtrain.networks.plain import initialise, small_cnn
from advtrain.networks.trained import Normalised, content, load_networks
from advtrain.networks.weights import fit, read_state_dict
from advtrain.results import checkpoint
from advtrain.system.errors import InputError
from synthetic import Noisy, synthetic_images

State = dict[str, Tensor]


@pytest.fixture
def network() -> nn.Sequential:
    """A small_cnn with biases, from elsewhere."""
    network, generator = small_cnn(), torch.Generator().manual_seed(0)
    initialise(network, generator)
    for name, tensor in network.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(tensor, -0.1, 0.1, generator=generator)
    return network


def keras(state: State) -> State:
    """As a TensorFlow model has it: kernels turned, maps flattened with channels last, other names."""
    dense = state["5.weight"].unflatten(1, (32, 7, 7)).movedim(1, -1).flatten(1)
    turned = {**state, "5.weight": dense}
    return {
        f"layer{name.replace('.', '/')}:0": tensor.permute(2, 3, 1, 0)
        if tensor.dim() == 4
        else tensor.mT
        if tensor.dim() == 2
        else tensor
        for name, tensor in turned.items()
    }


FORMS: dict[str, Callable[[State], State]] = {
    "as it is": lambda state: state,
    "of a network in DataParallel in a wrapper": lambda state: {
        f"module.model.{name}": tensor for name, tensor in state.items()
    },
    "with layers that have names": lambda state: dict(
        zip(["conv1.w", "conv1.b", "conv2.w", "conv2.b", "fc1.w", "fc1.b", "fc2.w", "fc2.b"], state.values(), strict=True)
    ),
    "in alphabetical order": lambda state: dict(sorted((f"l{name[::-1]}", tensor) for name, tensor in state.items())),
    "in double precision": lambda state: {name: tensor.double() for name, tensor in state.items()},
    "of Keras": keras,
}

SAID = {
    "as it is": [],
    "of a network in DataParallel in a wrapper": ["names begin with 'module.model.' in the file, with '' in the network"],
    "in double precision": ["float64 converted to float32"],
    "of Keras": [
        "kernels turned from Keras' order",
        "tensors matched by their shapes, since their names differ",
        "5.weight turned from channels last",
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_state_dict_of_another_form_makes_the_same_network(form: str, network: nn.Sequential) -> None:
    fitted, changed = fit(FORMS[form](network.state_dict()), small_cnn(), channels_last=False)
    ours = small_cnn()
    ours.load_state_dict(fitted)
    x = torch.rand(5, 1, 28, 28)
    assert torch.equal(ours(x), network(x))
    assert changed == SAID.get(form, ["tensors matched by their shapes, since their names differ"])


def test_maps_flattened_with_channels_last_are_turned_where_that_is_said(network: nn.Sequential) -> None:
    convolutions, dense = network[:4], network[5:]
    x = torch.rand(5, 1, 28, 28)
    elsewhere = dense(convolutions(x).movedim(1, -1).flatten(1))
    fitted, _ = fit(network.state_dict(), small_cnn(), channels_last=True)
    ours = small_cnn()
    ours.load_state_dict(fitted)
    torch.testing.assert_close(ours(x), elsewhere)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("2.bias"), "2.bias [32] is missing"),
        (lambda state: state.update(extra=torch.zeros(3)), "extra [3] is not in the network"),
        (lambda state: state.update({"7.weight": torch.zeros(5, 100)}), "7.weight is [5, 100], expected [10, 100]"),
        (lambda state: state["7.bias"].fill_(torch.nan), "NaN or infinite somewhere: 7.bias"),
    ],
)
def test_what_does_not_fit_is_named_key_by_key(change: Callable[[State], Any], said: str, network: nn.Sequential) -> None:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    change(state)
    with pytest.raises(InputError) as error:
        fit(state, small_cnn(), channels_last=False)
    assert str(error.value) == said


def test_tensors_of_the_same_shape_are_not_matched_under_other_names() -> None:
    """Batch norm's weight, bias, mean and variance."""
    state = {name.replace("norm", "bn"): tensor for name, tensor in Noisy().state_dict().items()}
    with pytest.raises(InputError, match=r"norm.weight \[1\] is missing; .*bn.weight \[1\] is not in the network"):
        fit(state, Noisy(), channels_last=False)


def write_safetensors(state: State, path: Path) -> None:
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in sorted(state.items()):
        values = tensor.contiguous().numpy().tobytes()
        kind = {torch.float32: "F32", torch.float64: "F64"}[tensor.dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


WRITERS: dict[str, Callable[[State, Path], None]] = {
    "w.pt": torch.save,
    "w.pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "wrapped.pt": lambda state, path: torch.save({"state_dict": state, "epoch": 10, "optimizer": {"state": {}}}, path),
    "w.safetensors": write_safetensors,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_each_kind_is_read_with_all_its_bits(name: str, network: nn.Sequential, tmp_path: Path) -> None:
    WRITERS[name](network.state_dict(), tmp_path / name)
    read, said = read_state_dict(tmp_path / name)
    assert said == (["weights under 'state_dict'", "unused: epoch, optimizer"] if name == "wrapped.pt" else [])
    assert all(torch.equal(read[key], tensor) for key, tensor in network.state_dict().items())


def cut_short(path: Path) -> None:
    write_safetensors({"w": torch.ones(9)}, path)
    path.write_bytes(path.read_bytes()[:-1])


def whole_network(path: Path) -> None:
    torch.save(small_cnn(), path)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("nothing.pt", lambda path: None, "no such file"),
        ("network.pt", whole_network, r"code in a file is not run, so save a state dict, as torch\.save\(network\.state_dict"),
        (
            "two.pt",
            lambda path: torch.save({"a": small_cnn().state_dict(), "b": small_cnn().state_dict()}, path),
            "a, b: save one",
        ),
        ("list.pt", lambda path: torch.save([1, 2], path), "no state dict"),
        ("text.pt", lambda path: path.write_text("weights"), "or a damaged one"),
        ("text.safetensors", lambda path: path.write_text("weights"), "no file of safetensors, or a damaged one"),
        ("long.safetensors", lambda path: path.write_bytes(struct.pack("<Q", 2**60) + b"{}"), "no state dict"),
        ("short.safetensors", cut_short, "no file of safetensors, or a damaged one"),
    ],
)
def test_a_file_that_is_none_is_one_line_that_says_what_to_do(
    name: str, write: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(InputError, match=said) as error:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_file_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "evil",))

    buffer = io.BytesIO()
    torch.save({"0.weight": Evil()}, buffer, pickle_module=pickle)
    (tmp_path / "w.pt").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="code in a file is not run"):
        read_state_dict(tmp_path / "w.pt")
    assert not (tmp_path / "evil").exists()


def test_inputs_are_normalised_with_what_is_said_of_them(network: nn.Sequential) -> None:
    x = torch.rand(3, 1, 28, 28)
    normalised = Normalised(network, torch.tensor([0.13]), torch.tensor([0.31]))
    torch.testing.assert_close(normalised(x), network((x - 0.13) / 0.31))


def test_a_model_with_a_weight_that_is_nan_is_refused_by_name(
    network: nn.Sequential, examples: Examples, tmp_path: Path
) -> None:
    network[7].bias.data[3] = torch.nan
    checkpoint.save(tmp_path / "m.pt", content("small_cnn", {4: network.state_dict()}))
    with pytest.raises(InputError, match=r"m\.pt: 7\.bias of seed 4 is NaN or infinite"):
        load_networks(tmp_path / "m.pt", examples)


def take_in(folder: Path, weights: State, **settings: Any) -> str:
    """What import_weights.py leaves in its log; the model is in m.pt."""
    images, labels = synthetic_images(64, seed=1)
    write_idx(folder / "images", images)
    write_idx(folder / "labels", labels)
    torch.save({"model": weights, "epoch": 3}, folder / "w.pt")
    files = {name: str(folder / name) for name in ("images", "labels")} | {
        "model": str(folder / "m.pt"),
        "weights": str(folder / "w.pt"),
    }
    settings = {"network": "small_cnn", "seed": 4, **settings}
    options = {"dataset": "mnist", "defense": "mine", "settings": json.dumps(settings), **files}
    result = CliRunner().invoke(import_weights.main, [f"--{name}={value}" for name, value in options.items()])
    assert result.stdout == "; ".join(result.stderr.splitlines()) + "\n" or result.exit_code != 0, (
        "the console has it in a line"
    )
    return result.stderr


def test_it_is_written_as_a_training_writes_it_and_the_log_says_what_was_changed_and_how_right_it_is(
    network: nn.Sequential, examples: Examples, tmp_path: Path
) -> None:
    halves = {f"module.{name}": tensor.half() for name, tensor in network.state_dict().items()}
    first, *said, right, chance = take_in(tmp_path, halves, mean=[0.5], std=[0.25]).splitlines()
    assert first == f"mnist/mine: {tmp_path / 'w.pt'} as small_cnn"
    assert said == [
        "weights under 'model'",
        "unused: epoch",
        "names begin with 'module.' in the file, with '' in the network",
        "float16 converted to float32",
        "mean [0.5], std [0.25]",
    ]
    assert right.endswith("of 64 test images right when clean")
    assert "are chance" in chance, "these weights are not trained"
    ((seed, ours),) = load_networks(tmp_path / "m.pt", examples).items()
    assert seed == 4
    torch.testing.assert_close(ours(examples.x), network.half().float()((examples.x - 0.5) / 0.25))
    made = checkpoint.load(tmp_path / "m.pt")["provenance"]["record"]["settings"]
    assert len(made["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mean": [0.5]}, "mean is [0.5] and std []"),
        ({"mean": [0.5], "std": [0]}, "std above 0"),
        ({"mean": [0.1, 0.2], "std": [1, 1]}, "mean and std have 2 numbers, the images of mnist have 1 channel; one number"),
        ({"network": "madry_cnn"}, "0.weight is [16, 1, 4, 4], expected [32, 1, 5, 5]"),
    ],
)
def test_settings_that_do_not_fit_write_nothing(
    settings: dict[str, Any], said: str, network: nn.Sequential, tmp_path: Path
) -> None:
    assert said in take_in(tmp_path, network.state_dict(), **settings)
    assert not (tmp_path / "m.pt").exists()


def test_without_mean_and_std_the_log_says_so(network: nn.Sequential, tmp_path: Path) -> None:
    assert "\nno mean and std: images in [0, 1] as they are\n" in take_in(tmp_path, network.state_dict())
