"""Trainings from the first epoch to the last, of all seeds of a cell, and exactly resumed."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.networks.ensemble import can_be_stacked, is_quicker_together
from advtrain.networks.plain import new_network
from advtrain.system.errors import InputError, Stopped
from advtrain.training.plan import EpochRecord, Plan
from advtrain.training.trainer import Best, Trainer, WhyStop

State = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """What the training of a cell (one defense on one data set) gives."""

    weights: dict[int, dict[str, Tensor]]
    """State dict of each seed's network, on the CPU."""
    history: list[EpochRecord]
    best: dict[int, Best]
    """Where images are held out, the weights that were best on them."""


def train(
    plan: Plan,
    data: Examples,
    *,
    resume_from: State | None = None,
    save: Callable[[State], None] = lambda state: None,
    save_every: int = 1,
    cuda_graph: bool = False,
    why_stop: WhyStop = lambda: None,
    watch: Callable[[EpochRecord, int], None] = lambda record, done: None,
) -> Trained:
    """Train one network for each seed of the plan: all at once where that is quicker, else one after the other.

    `data` has the images that the plan names, on the device. `save` gets the state after every `save_every` epochs and when
    seeds are done; with such a state as `resume_from` the training resumes there, bit for bit. `why_stop` is asked after each
    step; a reason ends the training there, once the state is saved. `watch` gets each record, and the number of epochs that all
    seeds have been trained up to it.

    Raises:
        Stopped: `why_stop` gave a reason.
        InputError: the loss of a seed became NaN or infinite, which also ends those trained at once with it; or `resume_from`
            does not fit the plan's epochs, or was training at once seeds of which the plan has only some.
    """
    state = resume_from or {"finished": {}, "running": None}
    _check_epochs(state, plan.epochs)
    finished, running = dict(state["finished"]), state["running"]
    left = [seed for seed in plan.seeds if seed not in finished]
    begun = _begun(running, left)
    rest = groups(plan, [seed for seed in left if seed not in begun], data.x.device)
    done = plan.epochs * (len(plan.seeds) - len(left))
    for group in [begun, *rest] if begun else rest:
        trainer = Trainer(plan, data, group, cuda_graph=cuda_graph)
        if group is begun:
            trainer.load_state_dict(running)
            done += len(trainer.history)
        while trainer.epoch < plan.epochs:
            try:
                records = trainer.train_epoch(why_stop)
            except Stopped:
                save({"finished": finished, "running": trainer.state_dict()})
                raise
            for record in records:
                done += 1
                watch(record, done)
            if trainer.epoch % save_every == 0 and trainer.epoch < plan.epochs:
                save({"finished": finished, "running": trainer.state_dict()})
        for seed, weights in trainer.weights().items():
            history = [asdict(record) for record in trainer.history if record.seed == seed]
            finished[seed] = {"weights": weights, "history": history, "best": trainer.best.get(seed)}
        save({"finished": finished, "running": None})
    return Trained(
        weights={seed: finished[seed]["weights"] for seed in plan.seeds},
        history=[EpochRecord(**record) for seed in plan.seeds for record in finished[seed]["history"]],
        best={seed: finished[seed]["best"] for seed in plan.seeds if finished[seed]["best"]},
    )


def how_far(state: State) -> str:
    """How far the training of a state has come, in words."""
    words = [f"{len(state['finished'])} seeds done"]
    if running := state["running"]:
        seeds, epochs = running["seeds"], len(running["history"]) // len(running["seeds"])
        words.append(f"seed {', '.join(map(str, seeds))} after {epochs} epochs and {len(running['tallies'])} steps")
    return ", ".join(words)


def groups(plan: Plan, seeds: list[int], device: torch.device) -> list[list[int]]:
    """The seeds to train at once: all where that is quicker and the defense knows of seeds, else each alone."""
    together = (
        is_quicker_together(device)
        and can_be_stacked(new_network(plan.network))
        and registry.create(plan.defense, epsilon=plan.epsilon).several_seeds
    )
    return [seeds] if together and seeds else [[seed] for seed in seeds]


def _check_epochs(state: State, epochs: int) -> None:
    """Refuse a state from which a training of `epochs` epochs cannot resume."""
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
