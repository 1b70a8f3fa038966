"""Networks of eight weights computed by kernels, as modules: in training with autograd, in attacks with constant weights."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from advtrain.fast.attack_kernels import Tiles, Weights, load_images, store_images
from advtrain.fast.form import Climber, Form
from advtrain.fast.products import Products
from advtrain.networks.ensemble import Ensemble

Tensors = tuple[Tensor, ...]


class Kernels(Protocol):
    """How the kernels of an architecture compute S networks, on B images each in the kernels' layout x [S, 784, Bp]."""

    def tiles(self, networks: int, images: int) -> Tiles:
        """How a batch is laid out."""
        ...

    def arrange(self, w: Weights) -> Tensors:
        """The weights as the kernels read them: once for each attack or training step."""
        ...

    def logits(self, w: Weights, arranged: Any, x: Tensor, t: Tiles, *, train: bool) -> tuple[Tensor, Tensors]:
        """Logits [S, B, 10], and what `gradients` needs of the way there; the weights' gradients need `train`."""
        ...

    def gradients(
        self, w: Weights, arranged: Tensors, x: Tensor, kept: Tensors, g4: Tensor, t: Tiles, *, image: bool, weight: bool
    ) -> tuple[Tensor | None, tuple[Tensor | None, ...]]:
        """From g4 [S, B, 10] the gradients of the images [S, B, 1, 28, 28] and of the weights, as far as asked for."""
        ...

    def ascend(
        self, w: Weights, arranged: Any, x_adv: Tensor, x: Tensor, y: Tensor, t: Tiles, *, epsilon: float, step_size: float
    ) -> Tensor:
        """One step on the cross-entropy, in place on x_adv; returns the logits [S, B, 10] where it started."""
        ...


class ByKernels(Form):
    """One network or an ensemble of S in training."""

    def __init__(self, kernels: Kernels, network: nn.Module) -> None:
        """Args: the kernels of an architecture; a plain network of it or an `Ensemble` of them."""
        super().__init__()
        # In a tuple, so that torch does not register its weights a second time.
        self.kernels, self.network = kernels, (network,)

    def weights(self) -> Weights:
        """Those that the network has now, with the axis of networks in front."""
        (network,) = self.network
        parameters = network.parameters()
        return Weights(*parameters) if isinstance(network, Ensemble) else Weights(*(w.unsqueeze(0) for w in parameters))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, 10] of images [S, B, 1, 28, 28]; of a single network both without S."""
        weights = self.weights()
        return _logits(self.kernels, x, weights, self.kernels.arrange(weights))

    def frozen(self) -> Form:
        """For an attack."""
        return Frozen(self.kernels, Weights(*(weight.detach() for weight in self.weights())))

    def twice_differentiable(self) -> nn.Module:
        """By matrix products: the kernels know first derivatives alone."""
        return Products(*self.network)


class Frozen(Climber):
    """Some networks as an attack sees them."""

    def __init__(self, kernels: Kernels, weights: Weights) -> None:
        super().__init__()
        self.kernels, self.weights, self.arranged = kernels, weights, kernels.arrange(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, 10] of images [S, B, 1, 28, 28]; of a single network both without S."""
        return _logits(self.kernels, x, self.weights, self.arranged)

    def ascend(
        self, start: Tensor, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, steps: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Some steps of `attacks.gradient.ascend` on the cross-entropy; the logits are those where the last of them started."""
        if start.dim() == 4:
            moved, logits = self.ascend(start[None], x[None], y[None], epsilon=epsilon, step_size=step_size, steps=steps)
            return moved[0], logits[0]
        t, y = self.kernels.tiles(*y.shape), y.contiguous()
        x_adv, x = load_images(start, t), load_images(x, t)
        for _ in range(steps):
            logits = self.kernels.ascend(self.weights, self.arranged, x_adv, x, y, t, epsilon=epsilon, step_size=step_size)
        return store_images(x_adv, t), logits


def _logits(kernels: Kernels, x: Tensor, weights: Weights, arranged: Tensors) -> Tensor:
    """Logits of images, both with the axis of networks or without it."""
    train = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    images = x if x.dim() == 5 else x.unsqueeze(0)
    logits: Tensor = _Logits.apply(images, kernels, arranged, train, *weights)
    return logits if x.dim() == 5 else logits.squeeze(0)


class _Logits(torch.autograd.Function):
    """Logits of images, with the gradients with respect to images and weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Kernels, arranged: Tensors, train: bool, *weights: Tensor) -> Tensor:
        """Logits [S, B, 10] of images x [S, B, 1, 28, 28]."""
        w, t = Weights(*weights), kernels.tiles(*x.shape[:2])
        images = load_images(x, t)
        logits, kept = kernels.logits(w, arranged, images, t, train=train)
        ctx.save_for_backward(images, *weights, *arranged, *kept)
        ctx.kernels, ctx.layout, ctx.train, ctx.arranged = kernels, t, train, len(arranged)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g4: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients [S, B, 1, 28, 28] and of each weight, where they are asked for."""
        images, *rest = ctx.saved_tensors
        weights, arranged, kept = rest[:8], rest[8 : 8 + ctx.arranged], rest[8 + ctx.arranged :]
        of_images, of_weights = ctx.kernels.gradients(
            Weights(*weights), arranged, images, kept, g4, ctx.layout, image=ctx.needs_input_grad[0], weight=ctx.train
        )
        return of_images, None, None, None, *of_weights
