"""Random numbers of a training: one generator for each seed, on the training's device, and nothing from global generators."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from advtrain.system.errors import InputError


class SeededRandom:
    """Draws for one seed, or for several seeds at once: each seed has its own generator, as if it were trained alone.

    Safe in a CUDA graph (`CapturedStep` registers the generators) and part of a checkpoint.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        """Make a generator for each seed, independent of the one that draws its weights and the order of its images."""
        self.generators = [torch.Generator(device).manual_seed(_derived(seed)) for seed in seeds]

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers in [0, 1), of the shape and type of `like`; with several seeds its first axis is theirs, [S, ...]."""
        return self._drawn(like, lambda x, own: torch.rand(x.shape, generator=own, dtype=x.dtype, device=x.device))

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers; otherwise as `uniform`."""
        return self._drawn(like, lambda x, own: torch.empty_like(x).normal_(generator=own))

    def _drawn(self, like: Tensor, draw: Callable[[Tensor, torch.Generator], Tensor]) -> Tensor:
        if len(self.generators) == 1:
            return draw(like, self.generators[0])
        return torch.stack([draw(one, own) for one, own in zip(like, self.generators, strict=True)])

    def state(self) -> list[Tensor]:
        """State of each generator, on the CPU."""
        return [generator.get_state() for generator in self.generators]

    def set_state(self, states: Sequence[Tensor]) -> None:
        """Take back what `state` gave."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


def _derived(seed: int) -> int:
    """Another seed of 32 bits, all that a generator on a CPU looks at."""
    return int.from_bytes(hashlib.sha256(f"defense {seed}".encode()).digest()[:4], "big")


@contextmanager
def no_global_draws(device: torch.device, who: str) -> Iterator[None]:
    """Refuse draws by `who` from the global generators of torch, NumPy and Python, which no checkpoint has, as InputError."""
    before = _global_states(device)
    yield
    names = [name for name, state in _global_states(device).items() if state != before[name]]
    if names:
        raise InputError(
            f"{who} drew random numbers from the global generator of {', '.join(names)}, so its training could not be "
            "repeated; draw from self.random instead, and in a network of your own by nn.Dropout"
        )


def _global_states(device: torch.device) -> dict[str, object]:
    numpy = np.random.get_state(legacy=False)["state"]
    states: dict[str, object] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "NumPy": (numpy["key"].tobytes(), numpy["pos"]),
        "Python": random.getstate(),
    }
    if device.type == "cuda":
        states["torch.cuda"] = torch.cuda.get_rng_state(device).numpy().tobytes()
    return states
