"""The price of a training in passes over images, which unlike seconds are the same on every machine and in every run."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advtrain.data.examples import Examples
from advtrain.training.plan import Plan
from advtrain.training.trainer import Trainer

FEW = 8
"""Images of a minibatch in which passes are counted."""


@dataclass
class Passes:
    """Images that went through a network."""

    forward: int = 0
    """From pixels to logits."""
    backward: int = 0
    """A gradient, from the logits back to pixels or weights."""

    @property
    def pairs(self) -> float:
        """Forward and backward over one image is one pass; a forward alone, as for predicted labels, is half of one."""
        return (self.forward + self.backward) / 2


@contextmanager
def counted(network: nn.Module) -> Iterator[Passes]:
    """Count the images that go through `network`, which maps [..., B, C, H, W] to logits [..., B, K], and back.

    It hooks the network, so that attacks see the plain network and not a quicker form of it. A form that was chosen
    before is not seen.
    """
    passes = Passes()

    def through(module: nn.Module, images: tuple[Tensor, ...], logits: Tensor) -> None:
        passes.forward += logits[..., 0].numel()
        if logits.requires_grad:
            logits.register_hook(back)

    def back(gradient: Tensor) -> None:
        passes.backward += gradient[..., 0].numel()

    hook = network.register_forward_hook(through)
    try:
        yield passes
    finally:
        hook.remove()


def passes_per_image(plan: Plan, data: Examples) -> float:
    """Passes per training image in a first epoch of a fresh training of the plan's first seed, apart from watching it.

    Counted over two small minibatches of the images `data` [n, C, H, W], at a tiny part of an epoch's price: a defense does
    the same in each.
    """
    small = dataclasses.replace(plan, batch_size=min(plan.batch_size, FEW), held_out_examples=0, precision="float32")
    few = data.first(2 * small.batch_size).to(torch.device("cpu"))
    trainer = Trainer(small, few, plan.seeds[:1])
    with counted(trainer.network) as passes:
        for index in trainer.minibatches(trainer.start_epoch(0)):
            trainer.step(index)
    return passes.pairs / len(few)
