"""A training step as one CUDA graph, so that the host launches it whole and not kernel by kernel."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from advtrain.system.errors import InputError, is_out_of_memory

Step = Callable[[Tensor], Tensor]

WARM_UP = 3
"""Steps run as they are before the recording, for what libraries set up at their first calls."""


class CapturedStep:
    """Runs a step on minibatches of a fixed size from a recording of it.

    A recording is kernels, addresses and numbers: what a step keeps from minibatch to minibatch has to be tensors that change
    in place, no number may change from epoch to epoch, and nothing in it may wait for the device. Minibatches of another size,
    such as the last of an epoch, are run as they are.
    """

    def __init__(self, batch_size: int, generators: Sequence[torch.Generator] = ()) -> None:
        """Args: batch_size, B; generators, those on the device that the step draws from, which a recording has to know."""
        self.batch_size = batch_size
        self.generators = generators
        self.warm_up = WARM_UP
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Step, index: Tensor) -> Tensor:
        """What `step` gives, the same at every call, for the index [..., B] of a minibatch on a CUDA device.

        Raises InputError if it cannot be recorded.
        """
        if index.shape[-1] != self.batch_size:
            return step(index)
        if self.warm_up:  # on a side stream, as a recording runs it
            self.warm_up -= 1
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                result = step(index)
            torch.cuda.current_stream().wait_stream(aside)
            return result
        if self.graph is None:
            self.graph = self._record(step, index)
        self.index.copy_(index)
        self.graph.replay()
        return self.result.clone()

    def _record(self, step: Step, index: Tensor) -> torch.cuda.CUDAGraph:
        """Record the step, which does not run it."""
        self.index = index.clone()
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph):
                self.result = step(self.index)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise InputError(
                "the defense's step cannot be recorded as a CUDA graph, most likely since it waits for the device (`.item()`, "
                f"a branch on a value, an index of varying size): change it, or set cuda_graph: false. {error}"
            ) from error
        return graph
