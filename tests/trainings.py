"""Small trainings of each kind, how to stop and resume them, and whether two are equal."""

import contextlib
import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from advtrain.data.examples import Examples
from advtrain.results import checkpoint
from advtrain.system.errors import Stopped
from advtrain.training.plan import EpochRecord, Plan
from advtrain.training.run import State, Trained, train

TRUE = {"labels": "ground_truth"}
PROPOSED = {"method": "proposed", "step_divisor": 10, "reset_epochs": 4, **TRUE}
ALONE, MIXED = {"trained_on": "adversarial"}, {"trained_on": "mixture"}
STOPPING = {"stop_at_error": True, "attack_mode": "evaluation"}
GUIDED = {"label_smoothing": 0.4, "regulariser": 10}
MOVED = {"augment": "crop_flip"}
VARYING = {"schedule": ((0, 0.1), (1.5, 1), (2, 1), (2, 0.1))}
RECIPES: dict[str, dict[str, Any]] = {
    "vanilla": {"defense": {"method": "vanilla"}},
    "fgsm_adv": {"defense": {"method": "fgsm_adv", **TRUE}},
    "fgsm_adv of predicted labels": {"defense": {"method": "fgsm_adv", "labels": "predicted"}},
    "atda": {"defense": {"method": "atda", **TRUE}},
    "proposed": {"defense": PROPOSED},
    "bim_adv": {"defense": {"method": "bim_adv", "iterations": 2, **TRUE}},
    "fgsm_adv with noise for zeros": {"defense": {"method": "fgsm_adv", **TRUE}, "zero_gradients": "random_signs"},
    "fgsm_adv with images held out": {"defense": {"method": "fgsm_adv", **TRUE}, "held_out_examples": 30},
    "vanilla at varying rates": {"defense": {"method": "vanilla"}, **VARYING},
    "fast_at": {"defense": {"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", **MIXED}},
    "n_fgsm": {"defense": {"method": "n_fgsm", "noise_factor": 2, "attack_mode": "evaluation", **ALONE}},
    "zero_grad": {"defense": {"method": "zero_grad", "quantile": 0.35, "attack_mode": "evaluation", **ALONE}},
    "pgd_at": {"defense": {"method": "pgd_at", "iterations": 2, "step_divisor": 4, **STOPPING, **ALONE}},
    "trades": {"defense": {"method": "trades", "iterations": 2, "step_divisor": 4, "beta": 1}},
    "grad_align": {"defense": {"method": "grad_align", "alignment": 0.2, **ALONE}},
    "free_at": {"defense": {"method": "free_at", "replays": 2}},
    "sora": {"defense": {"method": "sora", **ALONE}},
    "atta": {"defense": {"method": "atta", "step_divisor": 30, "reset_epochs": 2, "start_noise": 0.001, **ALONE}},
    "fgsm_ep": {"defense": {"method": "fgsm_ep", **GUIDED}},
    "fgsm_mep": {"defense": {"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2}},
    "fgsm_pco": {"defense": {"method": "fgsm_pco", **GUIDED}},
    "free_at on moved images": {"defense": {"method": "free_at", "replays": 2}, **MOVED},
    "proposed on moved images": {"defense": PROPOSED, **MOVED},
    "fgsm_mep on moved images": {"defense": {"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2}, **MOVED},
    "fgsm_mep not aligned": {
        "defense": {"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2},
        **MOVED,
        "aligned": False,
    },
    "proposed in bfloat16": {"defense": PROPOSED, "precision": "bfloat16"},
    "proposed by sgd": {"defense": PROPOSED, "optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.1, **VARYING},
}
PLAN = Plan(
    network="small_cnn",
    defense={"method": "vanilla"},
    epsilon=0.3,
    seeds=(3,),
    examples=96,
    subset_seed=0,
    epochs=3,
    batch_size=32,
    optimiser="adam",
    momentum=0,
    learning_rate=1e-3,
    schedule=(),
    weight_decay=0,
    precision="float32",
    augment="none",
    aligned=True,
    zero_gradients="kept",
    held_out_examples=0,
    monitor_examples=20,
    monitor_iterations=2,
)


def plan(name: str, **changes: Any) -> Plan:
    """Three epochs of three steps for each seed, on the 96 images of the fixture `examples`; by recipe, or else by method."""
    return dataclasses.replace(PLAN, **RECIPES.get(name, {"defense": {"method": name}}) | changes)


def assert_same_bits(one: Trained, other: Trained) -> None:
    assert one.weights.keys() == other.weights.keys()
    for seed, weights in one.weights.items():
        assert_same_tensors(weights, other.weights[seed])
    assert comparable(one.history) == comparable(other.history)
    assert one.best.keys() == other.best.keys()
    for seed, best in one.best.items():
        assert best["epoch"] == other.best[seed]["epoch"]
        assert_same_tensors(best["weights"], other.best[seed]["weights"])


def assert_same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name, tensor in one.items() if not torch.equal(tensor, other[name])] == []


def comparable(history: list[EpochRecord]) -> list[str]:
    """The rows without the time, as text, since NaN does not equal itself."""
    return [repr(dataclasses.replace(record, seconds=0.0)) for record in history]


def stop_after(step: int | None) -> Callable[[], str | None]:
    """Asks a training to stop after one of its steps, or never."""
    steps = itertools.count(1)
    return lambda: "it is asked to" if next(steps) == step else None


def stop_at_every_step(plan: Plan, examples: Examples, file: Path) -> tuple[Trained, int]:
    """A training that is stopped after each of its steps and resumes from the checkpoint; and how often it was stopped."""
    save = functools.partial(checkpoint.save_state, file, {})
    for stops in itertools.count():
        state = checkpoint.load_if_same(file, {})
        with contextlib.suppress(Stopped):
            return train(plan, examples, resume_from=state, save=save, why_stop=stop_after(1)), stops
    raise AssertionError


def states_of(plan: Plan, examples: Examples, stop_at: int | None = None, **options: Any) -> list[State]:
    """What a training saves, one that is stopped after some of its steps or runs to its end."""
    states: list[State] = []
    with contextlib.suppress(Stopped):
        train(plan, examples, save=lambda state: states.append(copy.deepcopy(state)), why_stop=stop_after(stop_at), **options)
    return states
