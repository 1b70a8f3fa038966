"""The one training loop, whatever the defense: the epochs of one seed, or of several seeds at once.

The data set lives on the device as one tensor and an epoch is a random permutation of its index. The weights and the orders of
a seed come from one generator made of it, what its defense draws from another, so a seed repeats bit for bit, and seeds do not
depend on each other, except for rounding where they are trained at once.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.data.augmentation import crop, draw_window
from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.fast.choice import adam, in_training
from advtrain.networks.ensemble import Ensemble, per_seed
from advtrain.networks.own import seed_dropout
from advtrain.networks.plain import check_fits, first_network
from advtrain.system.device import synchronise
from advtrain.system.errors import InputError, Stopped
from advtrain.system.randomness import SeededRandom, no_global_draws
from advtrain.training.bfloat16 import InBfloat16
from advtrain.training.cuda_graph import CapturedStep
from advtrain.training.noisy_zeros import NoisyZeros
from advtrain.training.plan import EpochRecord, Plan
from advtrain.training.watch import watch

WhyStop = Callable[[], str | None]
Best = dict[str, Any]
"""The `epoch` of a seed after which `pgd_accuracy` was highest, the first one of equals, and the `weights` then."""


class Trainer:
    """Networks, optimiser, defense, random states and history of the seeds that are trained at once.

    With several seeds all tensors of a step have their axis in front, and the networks are one batched network.
    """

    def __init__(self, plan: Plan, data: Examples, seeds: Sequence[int], *, cuda_graph: bool = False) -> None:
        """Make everything that the plan names, from `seeds`; its own seeds and choice of images are the caller's business.

        `data` has the plan's images, those held out included, on the device; with `cuda_graph` the steps run from a CUDA graph.
        """
        self.plan, self.seeds, self.cuda_graph = plan, list(seeds), cuda_graph
        self.data, held_out = data.split(len(data) - plan.held_out_examples)
        self.watched = held_out or self.data.first(plan.monitor_examples)
        device = data.x.device
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        networks = [first_network(plan.network, generator) for generator in self.generators]
        check_fits(networks[0], plan.network, data)
        self.network: nn.Module = (Ensemble(networks) if len(networks) > 1 else networks[0]).to(device)
        self.seen = InBfloat16(self.network) if plan.precision == "bfloat16" else in_training(self.network)
        """The network as the steps see it: the same weights, perhaps in a quicker form."""
        # With a schedule the rate is on the device, where a CUDA graph reads it at every replay.
        self.rate = torch.tensor(plan.rate(0), device=device) if plan.schedule else plan.learning_rate
        # Fused: one kernel for all of a network's tensors, on every device.
        settings: dict[str, Any] = {"lr": self.rate, "weight_decay": plan.weight_decay, "fused": True}
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.SGD(self.network.parameters(), momentum=plan.momentum, **settings)
            if plan.optimiser == "sgd"
            else adam(self.network)(self.network.parameters(), capturable=cuda_graph, **settings)
        )
        with no_global_draws(device, f"defense {plan.method}"):
            self.defense = registry.create(plan.defense, epsilon=plan.epsilon)
            self.defense.random, self.defense.classes = SeededRandom(self.seeds, device), data.classes
            seed_dropout(self.network, self.defense.random)
            self.defense.batch_size = plan.batch_size
            self.defense.augment, self.defense.aligned = plan.augment, plan.aligned
            self.defense.start_training(per_seed(self.network, self.data.x))
        if plan.zero_gradients == "random_signs":
            self.seen = NoisyZeros(self.seen, self.defense.random)
        self.captured = CapturedStep(plan.batch_size, self.defense.random.generators) if cuda_graph else None
        self.history: list[EpochRecord] = []
        self.best: dict[int, Best] = {}
        """Of each seed, where images are held out."""
        self.order: Tensor | None = None
        """The order of the images, [n] or [S, n], in the epoch that has begun; None between two epochs."""
        self.tallies: list[Tensor] = []
        """Sums of loss and hits of each step of that epoch so far."""
        self.seconds = 0.0
        """Spent on that epoch so far."""
        self.random_at_start = self.defense.random.state()
        """The defense's generators at the start of that epoch."""

    @property
    def epoch(self) -> int:
        """Number of epochs trained."""
        return len(self.history) // len(self.seeds)

    def train_epoch(self, why_stop: WhyStop = lambda: None) -> list[EpochRecord]:
        """Train for one epoch, watch it, and add its rows to the history, one for each seed.

        `why_stop` is asked after each step; a reason ends the epoch there, and the next call resumes with the next step.

        Raises:
            Stopped: `why_stop` gave a reason.
            InputError: the loss became NaN or infinite, and the message names seed, epoch and step; or the defense drew from a
                global random generator.
        """
        device, reason = self.data.x.device, None
        with no_global_draws(device, f"defense {self.plan.method}"):
            synchronise(device)
            start = time.perf_counter()
            if self.order is None:
                self.order = self.start_epoch(self.epoch)
            minibatches = self.minibatches(self.order)
            for index in minibatches[len(self.tallies) :]:
                if isinstance(self.rate, Tensor):
                    self.rate.fill_(self.plan.rate(self.epoch + len(self.tallies) / len(minibatches)))
                self.tallies.append(self.run_step(index))
                if reason := why_stop():
                    break
            synchronise(device)
            self.seconds += time.perf_counter() - start
        sums = torch.stack(self.tallies).cpu().double().view(len(self.tallies), -1, len(self.seeds))  # [steps, 3, S]
        self._check_losses(sums[:, 0])
        if reason:
            raise Stopped(reason)
        means = (sums.sum(dim=0) / len(self.data)).T.tolist()
        epsilon, iterations = self.plan.epsilon, self.plan.monitor_iterations
        watched = watch(self.network, self.watched, len(self.seeds), epsilon=epsilon, iterations=iterations)
        seconds = self.seconds / len(self.seeds)
        records = [
            EpochRecord(seed, self.epoch + 1, loss, clean, adversarial, **asdict(seen), seconds=seconds)
            for seed, (loss, clean, adversarial), seen in zip(self.seeds, means, watched, strict=True)
        ]
        self.history += records
        if self.plan.held_out_examples:
            self._keep_best(records)
        self.order, self.tallies, self.seconds = None, [], 0.0
        return records

    def start_epoch(self, epoch: int) -> Tensor:
        """Start an epoch, counted from 0; returns its random order of the images, [n], or one for each seed, [S, n]."""
        self.random_at_start = self.defense.random.state()
        self.defense.start_epoch(epoch)
        orders = [torch.randperm(len(self.data), generator=generator) for generator in self.generators]
        return torch.stack(orders) if len(orders) > 1 else orders[0]

    def minibatches(self, order: Tensor) -> list[Tensor]:
        """The index, [B] or [S, B], of each minibatch of an epoch, on the device; the last may be smaller."""
        return list(order.to(self.data.x.device).split(self.plan.batch_size, dim=-1))

    def endless_minibatches(self) -> Iterator[Tensor]:
        """The index of one minibatch after the other, epoch after epoch, without end."""
        epoch = 0
        while True:
            yield from self.minibatches(self.start_epoch(epoch))
            epoch += 1

    def run_step(self, index: Tensor) -> Tensor:
        """`step`, from the CUDA graph if there is one."""
        # The graph is handed the step and does not keep it: a trainer that refers to itself would be freed too late.
        return self.captured(self.step, index) if self.captured else self.step(index)

    def step(self, index: Tensor) -> Tensor:
        """Train on one minibatch; returns its sums of loss, clean hits and adversarial hits, [3] or [3, S].

        Of a minibatch that is replayed they are the last replay's. Nothing in it waits for the device.
        """
        # One label a thread; indexing would give a thread four, one after the other.
        x, y = self.data.x[index], self.data.y.index_select(0, index.flatten()).view_as(index)
        if self.plan.augment == "crop_flip":
            self.defense.window = draw_window(x, self.defense.random)
            x = crop(x, self.defense.window)
        for _ in range(self.defense.replays):
            outcome = self.defense.outcome(self.seen, x, y, index)
            self.optimiser.zero_grad()
            outcome.loss.sum().backward()
            self.optimiser.step()
        loss = outcome.loss.detach()
        both = (outcome.clean_logits, outcome.adversarial_logits)
        logits = torch.stack([z for z in both if z is not None])
        hits = iter((logits.argmax(dim=-1) == y).sum(dim=-1, dtype=loss.dtype))
        missing = float("nan")
        return torch.stack([loss * y.shape[-1], *(torch.full_like(loss, missing) if z is None else next(hits) for z in both)])

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
            "random": self.defense.random.state(),
            "random_at_start": self.random_at_start,
            "generators": [generator.get_state() for generator in self.generators],
            "history": [asdict(record) for record in self.history],
            "best": self.best,
            "order": self.order,
            "tallies": self.tallies,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave, before the first step."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group |= {"lr": self.rate, "capturable": self.cuda_graph}
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.best = dict(state["best"])
        self.order, self.seconds = state["order"], state["seconds"]
        self.tallies = [tally.to(self.data.x.device) for tally in state["tallies"]]
        self.random_at_start = state["random_at_start"]
        if self.order is not None:
            self.defense.random.set_state(self.random_at_start)
            self.defense.start_epoch(self.epoch)
        self.defense.load_state_dict(state["defense"])
        self.defense.random.set_state(state["random"])
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            generator.set_state(saved)

    def _check_losses(self, losses: Tensor) -> None:
        """Refuse losses [steps, S] that are not finite, before anything is saved."""
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            step, seed = bad[0].tolist()
            raise InputError(
                f"the loss of seed {self.seeds[seed]} became {losses[step, seed].item()} in epoch {self.epoch + 1}, "
                f"step {step + 1}; lower learning_rate ({self.plan.learning_rate})"
            )

    def _keep_best(self, records: list[EpochRecord]) -> None:
        """Keep the weights of each seed whose accuracy under PGD is higher than after every earlier epoch."""
        better = [
            record
            for record in records
            if record.seed not in self.best or record.pgd_accuracy > self.best[record.seed]["pgd_accuracy"]
        ]
        weights = self.weights() if better else {}
        for record in better:
            kept = {name: tensor.clone() for name, tensor in weights[record.seed].items()}
            self.best[record.seed] = {"epoch": record.epoch, "pgd_accuracy": record.pgd_accuracy, "weights": kept}
