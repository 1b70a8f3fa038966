"""What a user of PyTorch writes without this repository: an attack as a loop, and each defense in a plain training loop."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from advtrain.data.examples import CLASSES, Examples
from advtrain.defenses.atda import coral, margin, mmd, moved_centres
from advtrain.training.plan import Plan

LossOf = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""The loss of a network on a minibatch: images, labels, and where the images are in the training set."""


def attack(
    network: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, iterations: int, start: Tensor | None = None
) -> Tensor:
    """BIM as a loop, from `start` or from the clean images."""
    x_adv = x if start is None else start
    for _ in range(iterations):
        x_adv = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x_adv), y), x_adv)
        x_adv = x_adv.detach() + step_size * gradient.sign()
        x_adv = torch.clamp(x_adv, x - epsilon, x + epsilon).clamp(0, 1)
    return x_adv


def training_steps(plan: Plan, network: nn.Module, data: Examples) -> Iterator[float]:
    """Train without end on minibatches of a shuffling DataLoader, and yield the loss of each step as a number."""
    loader = DataLoader(TensorDataset(data.x, data.y, torch.arange(len(data))), batch_size=plan.batch_size, shuffle=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    loss_of = loss_of_defense(plan, data)
    while True:
        for x, y, index in loader:
            loss = loss_of(network, x, y, index)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.item()


def loss_of_defense(plan: Plan, data: Examples) -> LossOf:
    """The loss of one of the paper's defenses, with its memory of the training set if it has any."""
    epsilon, settings = plan.epsilon, plan.defense
    match plan.method:
        case "vanilla":
            return lambda network, x, y, index: F.cross_entropy(network(x), y)
        case "fgsm_adv" | "bim_adv":
            iterations = settings.get("iterations", 1)
            return _mixture(epsilon, epsilon / iterations, iterations)
        case "proposed":
            return _mixture(epsilon, epsilon / settings["step_divisor"], 1, carried=data.x.clone())
        case "atda":
            return _atda(epsilon, settings["labels"])
    raise ValueError(f"there is no plain loop for {plan.method}")


def _mixture(epsilon: float, step_size: float, iterations: int, carried: Tensor | None = None) -> LossOf:
    """Half clean, half adversarial; the attack starts from the clean images, or from where it left them."""

    def loss_of(network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        start = x if carried is None else carried[index]
        x_adv = attack(network, x, y, epsilon=epsilon, step_size=step_size, iterations=iterations, start=start)
        if carried is not None:
            carried[index] = x_adv
        return 0.5 * (F.cross_entropy(network(x), y) + F.cross_entropy(network(x_adv), y))

    return loss_of


def _atda(epsilon: float, labels: str) -> LossOf:
    """Its terms are ours: they are formulas, and the same for everyone."""
    centres = torch.zeros(CLASSES, CLASSES)

    def loss_of(network: nn.Module, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        attacked = network(x).argmax(dim=1) if labels == "predicted" else y
        x_adv = attack(network, x, attacked, epsilon=epsilon, step_size=epsilon, iterations=1)
        z, a = network(x), network(x_adv)
        both, classes = torch.cat([z, a]), torch.cat([y, y])
        adaptation = (coral(z, a) + mmd(z, a) + margin(both, classes, centres)) / 3
        centres.copy_(moved_centres(centres, both.detach(), classes))
        return F.cross_entropy(z, y) + F.cross_entropy(a, y) + adaptation

    return loss_of
