"""A step run from a recording trains as the step itself does.

There is no CUDA device here, so the recording is played back by `Recording`: it keeps the kernels that a step calls and the
tensors that they read and wrote, and calls them again on those, which is what a CUDA graph does.
"""

import contextlib
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from advtrain.data.examples import Examples
from advtrain.training.run import train
from advtrain.training.trainer import Trainer
from trainings import RECIPES, assert_same_bits, assert_same_tensors, comparable, plan, states_of

SEEDS = [3, 4, 5]
DRAWING = {
    "random_start",
    "fgsm_adv with noise for zeros",
    "free_at on moved images",
    "proposed on moved images",
    "fgsm_mep on moved images",
    "fgsm_mep not aligned",
    "fast_at",
    "n_fgsm",
    "zero_grad",
    "pgd_at",
    "trades",
    "grad_align",
    "sora",
}
"""Recipes that draw in each step."""


class Recording(TorchDispatchMode):
    """Kernels in their order, with their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict, Any]] = []
        self.generators: list[torch.Generator] = []
        self.has_run = False

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.generators.append(generator)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, *tree_map_only(Tensor, Tensor.detach, (args, kwargs or {}, result))))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Call every kernel again; its results go to the tensors of the recording. The first time that has been done."""
        if self.has_run:
            for func, args, kwargs, result in self.calls:
                for recorded, again in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(recorded, Tensor) and recorded.data_ptr() != again.data_ptr():
                        recorded.copy_(again)
        self.has_run = True

    def drawn_from(self) -> set[int]:
        """Seeds of the generators that a kernel drew from."""
        return {
            leaf.initial_seed() for call in self.calls for leaf in tree_leaves(call[1:3]) if isinstance(leaf, torch.Generator)
        }


WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "equal", "is_nonzero"}
"""Kernels whose result the host has to know before it continues."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""These too, where the index is a mask."""


def waiting(recording: Recording) -> set[str]:
    """The kernels of a recording for which a host would wait for its device."""
    found = set()
    for func, args, kwargs, _ in recording.calls:
        name = func.overloadpacket.__name__
        masked = any(isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1:2]))
        # Where a tensor is rounded and back, autograd names the device that it is on.
        rounded = name == "_to_copy" and torch.bfloat16 in (args[0].dtype, kwargs.get("dtype"))
        moved = name == "lift_fresh" or (name == "_to_copy" and kwargs.get("device") is not None and not rounded)
        if name in WAITING or (name in INDEXING and masked) or moved:
            found.add(name)
    return found


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """CUDA's recorder replaced by `Recording`; all that were made."""
    made: list[Recording] = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: made.append(Recording()) or made[-1])
    monkeypatch.setattr(torch.cuda, "graph", lambda recording: recording)
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Mock())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    return made


@pytest.mark.parametrize("seeds", [SEEDS[:1], SEEDS], ids=["one seed", "several seeds"])
@pytest.mark.parametrize("name", [*RECIPES, "random_start"])
def test_training_from_a_recording_gives_the_same_weights_and_history(
    name: str, seeds: list[int], examples: Examples, recordings: list[Recording], random_start: type
) -> None:
    """96 images in batches of 20 are four steps of 20 and one of 16, which is not recorded, three times over."""
    recorded = Trainer(plan(name, batch_size=20), examples, seeds, cuda_graph=True)
    plain = Trainer(plan(name, batch_size=20), examples, seeds)
    for _ in range(3):
        assert comparable(recorded.train_epoch()) == comparable(plain.train_epoch())
    for seed, weights in plain.weights().items():
        assert_same_tensors(recorded.weights()[seed], weights)
    (recording,) = recordings
    assert recording.drawn_from() <= {generator.initial_seed() for generator in recording.generators}
    assert bool(recording.drawn_from()) == (name in DRAWING)


@pytest.mark.parametrize("name", [*RECIPES, "random_start"])
def test_a_training_from_a_recording_stops_and_resumes_bit_for_bit(
    name: str, examples: Examples, recordings: list[Recording], random_start: type
) -> None:
    saved = states_of(plan(name), examples, stop_at=5, cuda_graph=True)[-1]
    stopped = train(plan(name), examples, cuda_graph=True, resume_from=saved)
    assert_same_bits(stopped, train(plan(name), examples))


@pytest.mark.parametrize("name", [*RECIPES, "random_start"])
def test_no_kernel_of_a_step_waits_for_the_device(name: str, examples: Examples, random_start: type) -> None:
    trainer = Trainer(plan(name), examples, SEEDS)
    first, second, *_ = trainer.minibatches(trainer.start_epoch(0))
    trainer.step(first)
    with Recording() as recording:
        trainer.step(second)
    last = {func.overloadpacket.__name__ for func, *_ in recording.calls}
    assert last & {"_fused_adam_", "_fused_sgd_"}, "it should see a step to its end"
    assert not waiting(recording)


def test_a_kernel_that_waits_would_be_seen() -> None:
    mask = torch.tensor([True, False, True])
    for step in (lambda x: x.sum().item(), lambda x: x[mask], lambda x: torch.tensor([1.0]), lambda x: x.to("cpu", copy=True)):
        with Recording() as recording:
            step(torch.ones(3))
        assert waiting(recording)
