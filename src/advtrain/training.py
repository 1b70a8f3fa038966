"""The one training loop, whatever the defense.

The data set lives on the device as one tensor and an epoch is a random permutation of its index. All randomness of a training
comes from one generator made of its seed, so a seed repeats bit for bit, and the seeds' runs do not depend on each other, but
for rounding where they are trained at once.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from advtrain import defenses
from advtrain.accuracy import right_under_bim, share
from advtrain.attacks import check_epsilon
from advtrain.captured import CapturedStep, Step
from advtrain.datasets import Examples
from advtrain.defenses import Outcome
from advtrain.device import synchronise
from advtrain.ensemble import Ensemble, can_be_stacked, for_each, quicker_at_once
from advtrain.errors import InputError, Stopped, check_at_least_one
from advtrain.networks import initialise, new_network


@dataclass(frozen=True)
class Plan:
    """All that decides what a training computes, beside the data and the seed."""

    network: str
    defense: Mapping[str, Any]
    """The defense's configuration entry: `method` and its settings."""
    epsilon: float
    epochs: int
    batch_size: int
    learning_rate: float
    monitor_examples: int
    """Size of the fixed slice of training images on which robust accuracy is watched; nothing is selected on it."""
    monitor_iterations: int
    """Iterations N of the BIM that watches, with epsilon / N a step."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense before anything is computed with them."""
        check_epsilon(self.epsilon)
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate is {self.learning_rate}; it has to be above 0")
        for name in ("epochs", "batch_size", "monitor_examples", "monitor_iterations"):
            check_at_least_one(name, getattr(self, name))


@dataclass(frozen=True)
class EpochRecord:
    """A row of the training history; accuracies are shares in [0, 1]."""

    seed: int
    epoch: int
    """Number of epochs trained, from 1."""
    loss: float
    """Mean over the epoch's examples."""
    clean_accuracy: float
    """On the stream of minibatches, each seen just before its update."""
    adversarial_accuracy: float
    """The same on the defense's own adversarial examples; NaN where it uses none."""
    robust_accuracy: float
    """Under BIM on the fixed slice of training images, after the epoch."""
    seconds: float
    """Wall time of the epoch's training, without watching; shared out evenly where seeds are trained at once."""


@dataclass
class Trainer:
    """The training of one seed, or of several at once: networks, optimiser, defense, random states and history.

    With several seeds all tensors of a step have their axis in front, and the networks are one batched network; each seed has
    its own random state, weights and order of the images, as if it were alone.
    """

    plan: Plan
    data: Examples
    seeds: list[int]
    cuda_graph: bool = False
    """Whether to run the steps from a CUDA graph."""
    history: list[EpochRecord] = field(default_factory=list)
    order: Tensor | None = field(default=None, init=False)
    """The order of the images, [n] or [S, n], in the epoch that is under way; None between two."""
    tallies: list[Tensor] = field(default_factory=list, init=False)
    """Of each step of the epoch that is under way."""
    seconds: float = field(default=0.0, init=False)
    """Spent on it so far."""

    def __post_init__(self) -> None:
        """Make everything that the plan names, from the seeds."""
        device = self.data.x.device
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        networks = [new_network(self.plan.network) for _ in self.seeds]
        for network, generator in zip(networks, self.generators, strict=True):
            initialise(network, generator)
        self.network: nn.Module = (Ensemble(networks) if len(networks) > 1 else networks[0]).to(device)
        # Fused: one kernel for all of a network's tensors, on every device.
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=self.plan.learning_rate, fused=True, capturable=self.cuda_graph
        )
        self.defense = defenses.create(self.plan.defense, epsilon=self.plan.epsilon)
        self.defense.start_training(for_each(self.network, self.data.x))
        self.run_step: Step = CapturedStep(self.step, self.plan.batch_size) if self.cuda_graph else self.step

    @property
    def epoch(self) -> int:
        """Number of epochs trained."""
        return len(self.history) // len(self.seeds)

    def minibatches(self, epoch: int) -> Iterator[Tensor]:
        """Start an epoch, counted from 0: yield the index, [B] or [S, B], of each of its minibatches, in new random orders."""
        yield from self._split(self._start_epoch(epoch))

    def _start_epoch(self, epoch: int) -> Tensor:
        """Start an epoch, counted from 0; returns its random order of the images, [n], or one for each seed, [S, n]."""
        self.defense.start_epoch(epoch)
        orders = [torch.randperm(len(self.data), generator=generator) for generator in self.generators]
        return torch.stack(orders) if len(orders) > 1 else orders[0]

    def _split(self, order: Tensor) -> Sequence[Tensor]:
        minibatches: Sequence[Tensor] = order.to(self.data.x.device).split(self.plan.batch_size, dim=-1)
        return minibatches

    def step(self, index: Tensor) -> Tensor:
        """Train on one minibatch; returns its sums of loss, clean hits and adversarial hits, [3] or [3, S].

        Nothing in it waits for the device.
        """
        y = self.data.y[index]
        outcome = self.defense.outcome(self.network, self.data.x[index], y, index)
        self.optimiser.zero_grad()
        outcome.loss.sum().backward()
        self.optimiser.step()
        return _tally(outcome, y)

    def train_epoch(self, why_stop: Callable[[], str | None] = lambda: None) -> list[EpochRecord]:
        """Train for one epoch, watch it, and add its rows to the history, one for each seed.

        Args:
            why_stop: asked after each step; a reason ends the epoch there, and the next call goes on from the next step.

        Raises:
            Stopped: `why_stop` gave a reason.
            InputError: the loss became NaN or infinite; the message names seed, epoch and step.
        """
        self._train_steps(why_stop)
        means = (self._sums().sum(dim=0) / len(self.data)).T.tolist()
        seconds = self.seconds / len(self.seeds)
        records = [
            EpochRecord(seed, self.epoch + 1, loss, clean, adversarial, robust, seconds)
            for seed, (loss, clean, adversarial), robust in zip(self.seeds, means, self._robust_accuracies(), strict=True)
        ]
        self.history += records
        self.order, self.tallies, self.seconds = None, [], 0.0
        return records

    def _train_steps(self, why_stop: Callable[[], str | None]) -> None:
        """Take the steps of the epoch that are left."""
        synchronise(self.data.x.device)
        start = time.perf_counter()
        if self.order is None:
            self.order = self._start_epoch(self.epoch)
        reason = None
        for index in self._split(self.order)[len(self.tallies) :]:
            self.tallies.append(self.run_step(index))
            if reason := why_stop():
                break
        synchronise(self.data.x.device)
        self.seconds += time.perf_counter() - start
        self._check_losses()
        if reason:
            raise Stopped(reason)

    def _sums(self) -> Tensor:
        """The sums of each step that the epoch has had, [steps, 3, S]."""
        return torch.stack(self.tallies).cpu().double().view(len(self.tallies), -1, len(self.seeds))

    def _check_losses(self) -> None:
        """Refuse losses that are not finite, before anything is saved."""
        losses = self._sums()[:, 0]
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            step, seed = bad[0].tolist()
            raise InputError(
                f"the loss of seed {self.seeds[seed]} became {losses[step, seed].item()} in epoch {self.epoch + 1}, "
                f"step {step + 1}; lower learning_rate ({self.plan.learning_rate})"
            )

    def _robust_accuracies(self) -> list[float]:
        watched = self.data.first(self.plan.monitor_examples)
        right = right_under_bim(
            self.network,
            watched,
            epsilon=self.plan.epsilon,
            iterations=self.plan.monitor_iterations,
            batch_size=self.plan.monitor_examples,
        )
        return [share(flags) for flags in right.view(len(self.seeds), -1)]

    def weights(self) -> dict[int, dict[str, Tensor]]:
        """State dict of each seed's network, on the CPU."""
        states = self.network.state_dicts() if isinstance(self.network, Ensemble) else [self.network.state_dict()]
        return {
            seed: {name: tensor.cpu() for name, tensor in state.items()} for seed, state in zip(self.seeds, states, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resume needs."""
        return {
            "seeds": self.seeds,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "defense": self.defense.state_dict(),
            "generators": [generator.get_state() for generator in self.generators],
            "history": [asdict(record) for record in self.history],
            "order": self.order,
            "tallies": self.tallies,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave, before the first step."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["capturable"] = self.cuda_graph
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.order, self.seconds = state["order"], state["seconds"]
        self.tallies = [tally.to(self.data.x.device) for tally in state["tallies"]]
        if self.order is not None:
            self.defense.start_epoch(self.epoch)
        self.defense.load_state_dict(state["defense"])
        for generator, at in zip(self.generators, state["generators"], strict=True):
            generator.set_state(at)


@dataclass(frozen=True)
class Trained:
    """What the training of a cell (one defense on one data set) gives."""

    weights: dict[int, dict[str, Tensor]]
    """State dict of each seed's network, on the CPU."""
    history: list[EpochRecord]


State = dict[str, Any]


def train(
    plan: Plan,
    data: Examples,
    seeds: list[int],
    *,
    resume_from: State | None = None,
    save: Callable[[State], None] = lambda state: None,
    save_every: int = 1,
    cuda_graph: bool = False,
    why_stop: Callable[[], str | None] = lambda: None,
    watch: Callable[[EpochRecord, int, float], None] = lambda record, done, seconds_left: None,
) -> Trained:
    """Train one network for each seed: all at once where that is quicker, else one after the other.

    Args:
        plan: what to compute.
        data: the training set, on the device.
        seeds: one run each.
        resume_from: a state that an earlier call gave to `save`; the run goes on there, bit for bit.
        save: called with the state after every `save_every` epochs, and when seeds are done.
        save_every: epochs between two calls of `save`.
        cuda_graph: whether to run the steps from a CUDA graph; the data has to be on a CUDA device.
        why_stop: asked after each step; a reason ends the run there, once the state is saved.
        watch: called with each record, the epochs trained of all seeds up to it, and an estimate of the seconds left.

    Raises:
        Stopped: `why_stop` gave a reason.
        InputError: the loss of a seed became NaN or infinite, which ends those trained at once with it, too; or only some of
            the seeds that `resume_from` was training at once are asked for; or it is further than `plan.epochs`, or has
            seeds that ended at another number of epochs.
    """
    if resume_from:
        _check_epochs(resume_from, plan.epochs)
    finished: dict[int, Any] = dict(resume_from["finished"]) if resume_from else {}
    running = resume_from["running"] if resume_from else None
    clock = _Clock(total=plan.epochs * len(seeds))
    left = [seed for seed in seeds if seed not in finished]
    clock.skip(plan.epochs * (len(seeds) - len(left)))
    begun = _begun(running, left)
    for group in filter(None, [begun, *groups(plan, [seed for seed in left if seed not in begun], data.x.device)]):
        trainer = Trainer(plan, data, group, cuda_graph)
        if running and running["seeds"] == group:
            trainer.load_state_dict(running)
            clock.skip(len(trainer.history))
        while trainer.epoch < plan.epochs:
            try:
                records = trainer.train_epoch(why_stop)
            except Stopped:
                save({"finished": finished, "running": trainer.state_dict()})
                raise
            done = clock.done + 1
            clock.count(len(records))
            for number, record in enumerate(records, done):
                watch(record, number, clock.seconds_left())
            if trainer.epoch % save_every == 0 and trainer.epoch < plan.epochs:
                save({"finished": finished, "running": trainer.state_dict()})
        for seed, weights in trainer.weights().items():
            history = [asdict(record) for record in trainer.history if record.seed == seed]
            finished[seed] = {"weights": weights, "history": history}
        save({"finished": finished, "running": None})
    return Trained(
        weights={seed: finished[seed]["weights"] for seed in seeds},
        history=[EpochRecord(**record) for seed in seeds for record in finished[seed]["history"]],
    )


def how_far(state: State) -> str:
    """How far the training of a state has come, in words."""
    words = [f"{len(state['finished'])} seeds done"]
    if running := state["running"]:
        seeds, epochs = running["seeds"], len(running["history"]) // len(running["seeds"])
        words.append(f"seed {', '.join(map(str, seeds))} after {epochs} epochs and {len(running['tallies'])} steps")
    return ", ".join(words)


def _check_epochs(state: State, epochs: int) -> None:
    """Refuse a state from which a training of `epochs` epochs cannot go on."""
    reached = [len(seed["history"]) for seed in state["finished"].values() if len(seed["history"]) != epochs]
    if running := state["running"]:
        trained = len(running["history"]) // len(running["seeds"])
        reached += [trained] if trained + bool(running["tallies"]) > epochs else []
    if reached:
        raise InputError(
            f"the checkpoint is of a training that has had {reached[0]} epochs or more, and {epochs} are asked for: "
            "ask for as many as it was for, or delete it"
        )


def _begun(running: Mapping[str, Any] | None, left: list[int]) -> list[int]:
    """The seeds that a state was training, if they are still to be trained."""
    seeds: list[int] = running["seeds"] if running else []
    wanted = [seed for seed in seeds if seed in left]
    if wanted and wanted != seeds:
        raise InputError(
            f"seeds {', '.join(map(str, seeds))} are half trained at once, but only {', '.join(map(str, wanted))} of them are "
            "asked for: ask for all, or delete the checkpoint"
        )
    return wanted


def groups(plan: Plan, seeds: list[int], device: torch.device) -> list[list[int]]:
    """The seeds to train at once: all where that is quicker and the defense knows of seeds, else each alone."""
    together = (
        quicker_at_once(device)
        and can_be_stacked(new_network(plan.network))
        and defenses.create(plan.defense, epsilon=plan.epsilon).several_seeds
    )
    return [seeds] if together and seeds else [[seed] for seed in seeds]


class _Clock:
    """Counts epochs, and estimates the time left from those trained since it was made."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.skipped = 0
        self.start = time.perf_counter()

    def skip(self, epochs: int) -> None:
        self.done += epochs
        self.skipped += epochs

    def count(self, epochs: int) -> None:
        self.done += epochs

    def seconds_left(self) -> float:
        elapsed = time.perf_counter() - self.start
        return elapsed / (self.done - self.skipped) * (self.total - self.done)


def _tally(outcome: Outcome, y: Tensor) -> Tensor:
    """Sums over the minibatch of loss, clean hits and adversarial hits, [3] or [3, S], without waiting for the device."""
    loss = outcome.loss.detach()
    clean = (outcome.clean_logits.argmax(dim=-1) == y).sum(dim=-1)
    if outcome.adversarial_logits is None:
        adversarial = torch.full_like(loss, float("nan"))
    else:
        adversarial = (outcome.adversarial_logits.argmax(dim=-1) == y).sum(dim=-1)
    return torch.stack([loss * y.shape[-1], clean.to(loss.dtype), adversarial.to(loss.dtype)])
