"""A step run from a recording trains as the step itself does.

There is no CUDA device here, so the recording is played back by `Recording`: it keeps the kernels that a step calls and the
tensors that they read and wrote, and calls them again on those, which is what a CUDA graph does.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_ensemble import SEEDS, SETTINGS, plan
from test_training import assert_same_bits
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from advtrain.data.examples import Examples
from advtrain.system.errors import Stopped
from advtrain.training.trainer import Trainer, train


class Recording(TorchDispatchMode):
    """Kernels in their order, with their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict, Any]] = []
        self.has_run = False

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


WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "equal", "is_nonzero"}
"""Kernels whose result the host has to know before it goes on."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""These too, where the index is a mask."""


def waiting(recording: "Recording") -> set[str]:
    """The kernels of a recording for which a host would wait for its device."""
    found = set()
    for func, args, kwargs, _ in recording.calls:
        name = func.overloadpacket.__name__
        masked = any(isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1:2]))
        moved = name == "lift_fresh" or (name == "_to_copy" and kwargs.get("device") is not None)
        if name in WAITING or (name in INDEXING and masked) or moved:
            found.add(name)
    return found


class Stream:
    def wait_stream(self, other: object) -> None:
        pass


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """CUDA's recorder replaced by `Recording`; all that were made."""
    made: list[Recording] = []

    def graph() -> Recording:
        made.append(Recording())
        return made[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda recording: recording)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    return made


@pytest.mark.parametrize("seeds", [SEEDS[:1], SEEDS])
@pytest.mark.parametrize("name", SETTINGS)
def test_training_from_a_recording_gives_the_same_weights_and_history(
    name: str, seeds: list[int], examples: Examples, recordings: list[Recording]
) -> None:
    """96 images in batches of 20 are four steps of 20 and one of 16, three times over."""
    recorded = Trainer(plan(name, batch_size=20), examples, seeds, cuda_graph=True)
    plain = Trainer(plan(name, batch_size=20), examples, seeds)
    for _ in range(3):
        for ours, own in zip(recorded.train_epoch(), plain.train_epoch(), strict=True):
            assert (ours.loss, ours.clean_accuracy, ours.robust_accuracy) == (own.loss, own.clean_accuracy, own.robust_accuracy)
    for seed, weights in plain.weights().items():
        assert all(torch.equal(tensor, recorded.weights()[seed][key]) for key, tensor in weights.items())
    assert len(recordings) == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_from_a_recording_stops_and_goes_on_bit_for_bit(
    name: str, examples: Examples, recordings: list[Recording]
) -> None:
    saved: list[dict] = []
    reasons = iter([None] * 4 + ["it is asked to"])
    with pytest.raises(Stopped):
        train(plan(name), examples, [3], cuda_graph=True, save=saved.append, why_stop=lambda: next(reasons))
    stopped = train(plan(name), examples, [3], cuda_graph=True, resume_from=saved[-1])
    assert_same_bits(stopped, train(plan(name), examples, [3]))


@pytest.mark.parametrize("name", SETTINGS)
def test_no_kernel_of_a_step_waits_for_the_device(name: str, examples: Examples) -> None:
    trainer = Trainer(plan(name), examples, SEEDS)
    minibatches = trainer.minibatches(0)
    trainer.step(next(minibatches))
    with Recording() as recording:
        trainer.step(next(minibatches))
    assert "_fused_adam_" in {func.overloadpacket.__name__ for func, *_ in recording.calls}, "it should see a step to its end"
    assert not waiting(recording)


MASK = torch.tensor([True, False, True])
WAITS: dict[str, Callable[[Tensor], object]] = {
    "a number": lambda x: x.sum().item(),
    "a condition": lambda x: bool(x.sum() > 0),
    "a selection": lambda x: x[MASK],
    "an assignment to a selection": lambda x: x.index_put_((MASK,), torch.zeros(())),
    "positions": lambda x: x.nonzero(),
    "numbers from the host": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
    "a copy to the host": lambda x: x.to("cpu", copy=True),
}


@pytest.mark.parametrize("what", WAITS)
def test_a_kernel_that_waits_would_be_seen(what: str) -> None:
    with Recording() as recording:
        WAITS[what](torch.ones(3))
    assert waiting(recording)


def test_the_recording_is_of_a_whole_minibatch(examples: Examples, recordings: list[Recording]) -> None:
    """96 images in batches of 28 are three steps and one of 12; the fourth step of 28 is the first of the second epoch."""
    trainer = Trainer(plan("vanilla", batch_size=28), examples, [0], cuda_graph=True)
    trainer.train_epoch()
    assert not recordings
    trainer.train_epoch()
    assert len(recordings) == 1
    assert trainer.run_step.index.shape == (28,)
