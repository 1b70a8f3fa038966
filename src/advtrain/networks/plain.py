"""The two plain classifiers for 28x28 grey images and ten classes, and how any network is made and asked."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from advtrain.data.examples import CLASSES, Examples
from advtrain.networks.own import SeededDropout, own_network
from advtrain.networks.residual import preact_resnet18, resnet8
from advtrain.results.code import own_file
from advtrain.system.errors import InputError


def small_cnn() -> nn.Sequential:
    """ATDA's network for Fashion-MNIST: two strided convolutions and a hidden layer of 100; 166,406 parameters.

    Maps images [B, 1, 28, 28] in [0, 1] to logits [B, 10].

    Source: the official code of Song et al. 2018 (JHL-HUST/ATDA, fashion_mnist.py).
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, CLASSES),
    )


def madry_cnn() -> nn.Sequential:
    """The MNIST network of Madry et al. 2017: two convolutions with pooling and a hidden layer of 1,024.

    Maps images [B, 1, 28, 28] in [0, 1] to logits [B, 10]. The authors of the paper use it in their other code of that
    year (GuanxiongLiu/DSN-ZK-GanDef).
    """
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 1024),
        nn.ReLU(),
        nn.Linear(1024, CLASSES),
    )


PLAIN = {"small_cnn": small_cnn, "madry_cnn": madry_cnn}
RESIDUAL = {"preact_resnet18": preact_resnet18, "resnet8": resnet8}
NETWORKS: dict[str, Callable[[], nn.Module]] = {**PLAIN, **RESIDUAL}
IMAGE_SHAPES = {**dict.fromkeys(PLAIN, (1, 28, 28)), **dict.fromkeys(RESIDUAL, (3, 32, 32))}
"""What they are for."""


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw Glorot-uniform weights from `generator` and set biases to zero, in place (Song et al. 2018, official code)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def new_network(name: str) -> nn.Module:
    """A network of `NETWORKS`, or of `file.py:function`, whose weights are still to be set; no global random state changes.

    Raises:
        InputError: there is no such network; or as `own_network`.
    """
    if own_file(name):
        return own_network(name, seed=0)
    if name not in NETWORKS:
        raise InputError(f"network {name!r} is unknown; there are {', '.join(NETWORKS)}, or your own as file.py:function")
    with torch.random.fork_rng(devices=[]):
        return NETWORKS[name]()


def first_network(name: str, generator: torch.Generator) -> nn.Module:
    """A network as a training starts with it: ours with the weights of `initialise`, a user's with those of its function.

    All comes from `generator`, on the CPU. Raises as `new_network`.
    """
    if own_file(name):
        return own_network(name, seed=int(torch.randint(2**32, (), generator=generator)))
    network = new_network(name)
    initialise(network, generator)
    return network


def check_fits(network: nn.Module, name: str, data: Examples) -> None:
    """Raise InputError unless a network, the configuration's `name`, takes the images and has a logit for each class."""
    shape = tuple(data.x.shape[1:])
    images = f"the images are {'x'.join(map(str, shape))} in {data.classes} classes"
    if name in IMAGE_SHAPES and (shape, data.classes) != (IMAGE_SHAPES[name], CLASSES):
        ours = f"{'x'.join(map(str, IMAGE_SHAPES[name]))} in {CLASSES}"
        raise InputError(f"{images}, {name} is for {ours}: bring a network of your own, as network: file.py:function")
    try:
        logits = predict(network, data.x[:2].to(next(network.parameters()).device))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InputError(f"{images}, which network {name} does not take: {str(error).splitlines()[0]}") from error
    if logits.shape[1:] != (data.classes,):
        raise InputError(
            f"{images}, and network {name} gives {list(logits.shape[1:])} for each, expected {data.classes} logits"
        )


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` in evaluation mode, and give each its own flag back at the end."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def depends_on_mode(model: nn.Module) -> bool:
    """Whether a model may give other logits in training than in evaluation: it has batch norm, dropout or their like."""
    return any(isinstance(module, _BatchNorm | _DropoutNd | SeededDropout) for module in model.modules())


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Logits [B, K] of the images x [B, C, H, W], in evaluation mode and without a graph."""
    with torch.no_grad(), evaluation_mode(model):
        logits: Tensor = model(x)
    return logits


def predict_all(model: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    """Logits [n, K] of many images x [n, C, H, W] as `predict` gives them, `batch_size` at once."""
    return torch.cat([predict(model, batch) for batch in x.split(batch_size)])


LETTERS = {nn.Conv2d: "C", nn.ReLU: "R", nn.MaxPool2d: "M", nn.Flatten: "F", nn.Linear: "L"}


def is_known_architecture(model: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a model is built as the plain ones: convolutions, flattened, then dense layers, all without special settings.

    Such a model can be written down in other ways that compute the same.
    """
    if type(model) is not nn.Sequential:
        return False
    letters = "".join(LETTERS.get(type(layer), "?") for layer in model)
    return re.fullmatch("(CR?M?)+FL(R?L)*", letters) is not None and all(_is_simple(layer) for layer in model)


def _is_simple(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    if isinstance(layer, nn.Conv2d):
        dense = layer.groups == 1 and layer.dilation == (1, 1)
        return dense and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple)
    return True


def is_watched(model: nn.Module) -> bool:
    """Whether hooks, or a `forward` of its own, would notice that another form of the model computes in its place."""

    def watched(module: nn.Module) -> bool:
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        return any(hooks) or "forward" in vars(module)

    return any(watched(module) for module in model.modules())
