"""small_cnn by the kernels, as modules: in training with autograd, in attacks with constant weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from advtrain.fast import attack_kernels as attack
from advtrain.fast.attack_kernels import Arranged, Maps, Weights, tiles
from advtrain.fast.form import Climber, Form
from advtrain.fast.training_kernels import weight_gradients
from advtrain.networks.ensemble import Ensemble


class SmallCnn(Form):
    """One small_cnn or an ensemble of S in training."""

    def __init__(self, network: nn.Module) -> None:
        """Args: network, a plain small_cnn or an `Ensemble` of them."""
        super().__init__()
        # In a tuple, so that torch does not register its weights a second time.
        self.network = (network,)

    def weights(self) -> Weights:
        """Those that the network has now, with the axis of networks in front."""
        (network,) = self.network
        parameters = network.parameters()
        return Weights(*parameters) if isinstance(network, Ensemble) else Weights(*(w.unsqueeze(0) for w in parameters))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, 10] of images [S, B, 1, 28, 28]; of a single network both without S."""
        weights = self.weights()
        return _logits(x, weights, attack.arrange(weights))

    def frozen(self) -> Form:
        """For an attack."""
        return FrozenSmallCnn(Weights(*(weight.detach() for weight in self.weights())))


class FrozenSmallCnn(Climber):
    """Some small_cnn networks as an attack sees them."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights, self.arranged = weights, attack.arrange(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [S, B, 10] of images [S, B, 1, 28, 28]; of a single network both without S."""
        return _logits(x, self.weights, self.arranged)

    def ascend(
        self, start: Tensor, x: Tensor, y: Tensor, *, epsilon: float, step_size: float, steps: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Some steps of `attacks.gradient.ascend` on the cross-entropy; the logits are those where the last of them started."""
        if start.dim() == 4:
            moved, logits = self.ascend(start[None], x[None], y[None], epsilon=epsilon, step_size=step_size, steps=steps)
            return moved[0], logits[0]
        t, y = tiles(*y.shape), y.contiguous()
        x_adv, x = attack.load_images(start, t), attack.load_images(x, t)
        for _ in range(steps):
            logits = attack.ascend(self.weights, self.arranged, x_adv, x, y, t, epsilon=epsilon, step_size=step_size)
        return attack.store_images(x_adv, t), logits


def _logits(x: Tensor, weights: Weights, arranged: Arranged) -> Tensor:
    """Logits of images, both with the axis of networks or without it."""
    train = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    images = x if x.dim() == 5 else x.unsqueeze(0)
    logits: Tensor = _Logits.apply(images, arranged, train, *weights)
    return logits if x.dim() == 5 else logits.squeeze(0)


class _Logits(torch.autograd.Function):
    """Logits of images, with the gradients with respect to images and weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, arranged: Arranged, train: bool, *weights: Tensor) -> Tensor:
        """Logits [S, B, 10] of images x [S, B, 1, 28, 28]."""
        w, t = Weights(*weights), tiles(*x.shape[:2])
        images = attack.load_images(x, t)
        maps = attack.forward(w, arranged, images, t, train=train)
        logits, a3 = attack.logits(w, maps, t)
        ctx.save_for_backward(images, a3, *weights, *arranged, *maps)
        ctx.layout, ctx.train = t, train
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g4: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients [S, B, 1, 28, 28] and of each weight, where they are asked for."""
        images, a3, *rest = ctx.saved_tensors
        w, arranged, maps, t = Weights(*rest[:8]), Arranged(*rest[8:12]), Maps(*rest[12:]), ctx.layout
        g3, g3t, g4t = attack.back_to_hidden(w, g4, a3, t, train=ctx.train)
        g2 = attack.back_to_maps(arranged, g3, maps, t)
        of_images: Tensor | None = None
        of_weights: tuple[Tensor | None, ...] = (None,) * len(w)
        if ctx.needs_input_grad[0]:
            of_images = attack.image_gradient(attack.back_to_taps(w, arranged, g2, maps, t), t)
        if ctx.train:
            g1 = attack.back_to_first_maps(w, arranged, g2, maps, t)
            of_weights = weight_gradients(images, maps, a3, g1, g2, g3, g3t, g4t, t)
        return of_images, None, None, *of_weights
