"""One attack, BIM from the clean image, as this repository, three other libraries and a plain loop run it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advtrain.attacks.gradient import bim
from benchmarks import plain

OURS = "ours"
ART = "ART"


@dataclass(frozen=True)
class Task:
    """What every contender is given: the model, the images and how they are split, the budget."""

    network: nn.Module
    """In evaluation mode, on the device of the images and of their type."""
    x: Tensor
    y: Tensor
    batch_size: int
    epsilon: float
    step_size: float
    iterations: int

    def in_batches(self, attack: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The adversarial examples of all images, attacked a batch at a time."""
        batches = zip(self.x.split(self.batch_size), self.y.split(self.batch_size), strict=True)
        return torch.cat([attack(x, y) for x, y in batches])


Contender = Callable[[], Tensor | NDArray[np.float32]]


def contenders(task: Task) -> dict[str, Contender]:
    """Each contender's run of the task, by name; the libraries' objects are made beforehand and cost no time."""
    return {
        OURS: _ours(task),
        "plain loop": _plain_loop(task),
        "torchattacks": _torchattacks(task),
        "foolbox": _foolbox(task),
        ART: _art(task),
    }


def _ours(task: Task) -> Contender:
    attack = partial(bim, task.network, epsilon=task.epsilon, step_size=task.step_size, iterations=task.iterations)
    return lambda: task.in_batches(attack)


def _plain_loop(task: Task) -> Contender:
    attack = partial(plain.attack, task.network, epsilon=task.epsilon, step_size=task.step_size, iterations=task.iterations)
    return lambda: task.in_batches(attack)


def _torchattacks(task: Task) -> Contender:
    import torchattacks

    attack = torchattacks.BIM(task.network, eps=task.epsilon, alpha=task.step_size, steps=task.iterations)
    return lambda: task.in_batches(attack)


def _foolbox(task: Task) -> Contender:
    from foolbox.attacks import LinfBasicIterativeAttack
    from foolbox.models import PyTorchModel

    model = PyTorchModel(task.network, bounds=(0, 1), device=task.x.device)
    attack = LinfBasicIterativeAttack(abs_stepsize=task.step_size, steps=task.iterations, random_start=False)

    def run(x: Tensor, y: Tensor) -> Tensor:
        x_adv: Tensor = attack(model, x, y, epsilons=task.epsilon)[0]
        return x_adv

    return lambda: task.in_batches(run)


def _art(task: Task) -> Contender:
    """ART takes and gives NumPy arrays of float32 and splits them itself; its user has arrays, so none is converted here."""
    from art.attacks.evasion import BasicIterativeMethod
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        model=task.network,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(task.x.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if task.x.device.type == "cuda" else "cpu",
    )
    attack = BasicIterativeMethod(
        classifier,
        eps=task.epsilon,
        eps_step=task.step_size,
        max_iter=task.iterations,
        targeted=False,
        batch_size=task.batch_size,
        verbose=False,
    )
    x, y = task.x.cpu().numpy(), task.y.cpu().numpy()
    return lambda: attack.generate(x, y)
