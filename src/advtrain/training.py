"""The one training loop, whatever the defense.

The data set lives on the device as one tensor and an epoch is a random permutation of its index. All randomness of a training
comes from one generator made of its seed, so a seed repeats bit for bit, and the seeds' runs do not depend on each other.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from advtrain import defenses
from advtrain.accuracy import right_under_bim, share
from advtrain.attacks import check_epsilon
from advtrain.datasets import Examples
from advtrain.defenses import Outcome
from advtrain.device import synchronise
from advtrain.errors import InputError, check_at_least_one
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
    """Wall time of the epoch's training, without watching."""


@dataclass
class Trainer:
    """One seed's training: network, optimiser, defense, random state and history."""

    plan: Plan
    data: Examples
    seed: int
    history: list[EpochRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make everything that the plan names, from the seed."""
        device = self.data.x.device
        self.generator = torch.Generator().manual_seed(self.seed)
        self.network = new_network(self.plan.network)
        initialise(self.network, self.generator)
        self.network.to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=self.plan.learning_rate)
        self.defense = defenses.create(self.plan.defense, epsilon=self.plan.epsilon)
        self.defense.start_training(self.data.x)

    @property
    def epoch(self) -> int:
        """Number of epochs trained."""
        return len(self.history)

    def minibatches(self, epoch: int) -> Iterator[Tensor]:
        """Start an epoch, counted from 0: yield the index of each of its minibatches, in a new random order."""
        self.defense.start_epoch(epoch)
        order = torch.randperm(len(self.data), generator=self.generator).to(self.data.x.device)
        yield from order.split(self.plan.batch_size)

    def step(self, index: Tensor) -> Outcome:
        """Train on one minibatch."""
        outcome = self.defense.outcome(self.network, self.data.x[index], self.data.y[index], index)
        self.optimiser.zero_grad()
        outcome.loss.backward()
        self.optimiser.step()
        return outcome

    def train_epoch(self) -> EpochRecord:
        """Train for one epoch, watch it, and add its row to the history.

        Raises:
            InputError: the loss became NaN or infinite; the message names epoch and step.
        """
        device = self.data.x.device
        synchronise(device)
        start = time.perf_counter()
        steps = []
        for index in self.minibatches(self.epoch):
            steps.append(_tally(self.step(index), self.data.y[index]))
        tallies = torch.stack(steps).cpu().double()
        seconds = time.perf_counter() - start
        bad = (~tallies[:, 0].isfinite()).nonzero()
        if len(bad):
            raise InputError(
                f"the loss of seed {self.seed} became {tallies[bad[0, 0], 0].item()} in epoch {self.epoch + 1}, "
                f"step {bad[0, 0] + 1}; lower learning_rate ({self.plan.learning_rate})"
            )
        loss, clean, adversarial = (tallies.sum(dim=0) / len(self.data)).tolist()
        record = EpochRecord(self.seed, self.epoch + 1, loss, clean, adversarial, self._robust_accuracy(), seconds)
        self.history.append(record)
        return record

    def _robust_accuracy(self) -> float:
        watched = self.data.first(self.plan.monitor_examples)
        right = right_under_bim(
            self.network,
            watched,
            epsilon=self.plan.epsilon,
            iterations=self.plan.monitor_iterations,
            batch_size=self.plan.monitor_examples,
        )
        return share(right)

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resume needs."""
        return {
            "seed": self.seed,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "defense": self.defense.state_dict(),
            "generator": self.generator.get_state(),
            "history": [asdict(record) for record in self.history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.defense.load_state_dict(state["defense"])
        self.generator.set_state(state["generator"])
        self.history = [EpochRecord(**record) for record in state["history"]]


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
    watch: Callable[[EpochRecord, int, float], None] = lambda record, done, seconds_left: None,
) -> Trained:
    """Train one network for each seed, one after the other.

    Args:
        plan: what to compute.
        data: the training set, on the device.
        seeds: one run each.
        resume_from: a state that an earlier call gave to `save`; the run goes on there, bit for bit.
        save: called with the state after every `save_every` epochs, and after each seed.
        save_every: epochs between two calls of `save`.
        watch: called after each epoch with its record, the epochs trained of all seeds, and an estimate of the seconds left.
    """
    finished: dict[int, Any] = dict(resume_from["finished"]) if resume_from else {}
    running = resume_from["running"] if resume_from else None
    clock = _Clock(total=plan.epochs * len(seeds))
    for seed in seeds:
        if seed in finished:
            clock.skip(plan.epochs)
            continue
        trainer = Trainer(plan, data, seed)
        if running and running["seed"] == seed:
            trainer.load_state_dict(running)
            clock.skip(trainer.epoch)
        while trainer.epoch < plan.epochs:
            record = trainer.train_epoch()
            clock.count()
            watch(record, clock.done, clock.seconds_left())
            if trainer.epoch % save_every == 0 and trainer.epoch < plan.epochs:
                save({"finished": finished, "running": trainer.state_dict()})
        weights = {name: tensor.cpu() for name, tensor in trainer.network.state_dict().items()}
        finished[seed] = {"weights": weights, "history": [asdict(record) for record in trainer.history]}
        save({"finished": finished, "running": None})
    return Trained(
        weights={seed: finished[seed]["weights"] for seed in seeds},
        history=[EpochRecord(**record) for seed in seeds for record in finished[seed]["history"]],
    )


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

    def count(self) -> None:
        self.done += 1

    def seconds_left(self) -> float:
        elapsed = time.perf_counter() - self.start
        return elapsed / (self.done - self.skipped) * (self.total - self.done)


def _tally(outcome: Outcome, y: Tensor) -> Tensor:
    """Sums over the minibatch of loss, clean hits and adversarial hits, [3], on the device and without waiting for it."""
    clean = (outcome.clean_logits.argmax(dim=1) == y).sum()
    if outcome.adversarial_logits is None:
        adversarial = torch.full_like(outcome.loss, float("nan"))
    else:
        adversarial = (outcome.adversarial_logits.argmax(dim=1) == y).sum()
    loss = outcome.loss.detach()
    return torch.stack([loss * len(y), clean.to(loss.dtype), adversarial.to(loss.dtype)])
