"""Random numbers of a training: one generator for each seed, on the training's device, and nothing from global generators."""

import hashlib
import random
from collections.abc import Sequence

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
        if len(self.generators) == 1:
            return _uniform(like, self.generators[0])
        return torch.stack([_uniform(one, generator) for one, generator in zip(like, self.generators, strict=True)])

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers; otherwise as `uniform`."""
        if len(self.generators) == 1:
            return torch.empty_like(like).normal_(generator=self.generators[0])
        each = zip(like, self.generators, strict=True)
        return torch.stack([torch.empty_like(one).normal_(generator=generator) for one, generator in each])

    def state(self) -> list[Tensor]:
        """State of each generator, on the CPU."""
        return [generator.get_state() for generator in self.generators]

    def set_state(self, states: Sequence[Tensor]) -> None:
        """Take back what `state` gave."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def _numpy_state() -> tuple[bytes, int]:
    state = np.random.get_state(legacy=False)["state"]
    return state["key"].tobytes(), state["pos"]


def _derived(seed: int) -> int:
    """Another seed of 32 bits, all that a generator on a CPU looks at."""
    return int.from_bytes(hashlib.sha256(f"defense {seed}".encode()).digest()[:4], "big")


class GlobalGenerators:
    """Notices draws from the global generators of torch, NumPy and Python, which no checkpoint has."""

    def __init__(self, device: torch.device) -> None:
        """Remember their states."""
        self.device = device
        self.states = self._states()

    def check_untouched(self, who: str) -> None:
        """Raise InputError if one of them has been drawn from; `who` names what ran meanwhile."""
        names = [name for name, state in self._states().items() if state != self.states[name]]
        if names:
            raise InputError(
                f"{who} drew random numbers from the global generator of {', '.join(names)}, so its training could not be "
                "repeated; draw from self.random instead"
            )

    def _states(self) -> dict[str, object]:
        states: dict[str, object] = {
            "torch": torch.get_rng_state().numpy().tobytes(),
            "NumPy": _numpy_state(),
            "Python": random.getstate(),
        }
        if self.device.type == "cuda":
            states["torch.cuda"] = torch.cuda.get_rng_state(self.device).numpy().tobytes()
        return states
