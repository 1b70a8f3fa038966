"""small_cnn by the kernels."""

from torch import Tensor, nn

from advtrain.fast import attack_kernels as attack
from advtrain.fast.attack_kernels import Arranged, Maps, Tiles, Weights
from advtrain.fast.by_kernels import ByKernels, Tensors
from advtrain.fast.training_kernels import weight_gradients


class SmallCnn(ByKernels):
    """One small_cnn or an ensemble of S in training."""

    def __init__(self, network: nn.Module) -> None:
        """Args: network, a plain small_cnn or an `Ensemble` of them."""
        super().__init__(_Kernels(), network)


class _Kernels:
    """`Kernels` of small_cnn."""

    tiles = staticmethod(attack.tiles)
    arrange = staticmethod(attack.arrange)
    ascend = staticmethod(attack.ascend)

    def logits(self, w: Weights, arranged: Arranged, x: Tensor, t: Tiles, *, train: bool) -> tuple[Tensor, Tensors]:
        maps = attack.forward(w, arranged, x, t, train=train)
        logits, a3 = attack.logits(w, maps.part, t)
        return logits, (a3, *maps)

    def gradients(
        self, w: Weights, arranged: Tensors, x: Tensor, kept: Tensors, g4: Tensor, t: Tiles, *, image: bool, weight: bool
    ) -> tuple[Tensor | None, tuple[Tensor | None, ...]]:
        a3, maps, read = kept[0], Maps(*kept[1:]), Arranged(*arranged)
        g3, g3t, g4t = attack.back_to_hidden(w, g4, a3, t, rows=112, train=weight)
        g2 = attack.back_to_maps(read, g3, maps, t)
        of_images: Tensor | None = None
        of_weights: tuple[Tensor | None, ...] = (None,) * len(w)
        if image:
            of_images = attack.image_gradient(attack.back_to_taps(w, read, g2, maps, t), t)
        if weight:
            g1 = attack.back_to_first_maps(w, read, g2, maps, t)
            of_weights = weight_gradients(x, maps, a3, g1, g2, g3, g3t, g4t, t)
        return of_images, of_weights
