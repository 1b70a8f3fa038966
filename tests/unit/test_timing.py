import pandas as pd
import pytest
import torch

from advtrain.data.examples import Examples
from advtrain.training import timing
from advtrain.training.timing import Timing, summarise, time_epochs
from advtrain.training.trainer import Trainer
from trainings import plan

METHODS = ["vanilla", "fgsm_adv"]
Trainers = dict[str, Trainer]


@pytest.fixture
def trainers(examples: Examples) -> Trainers:
    return {name: Trainer(plan(name, batch_size=16), examples, [0]) for name in METHODS}


def test_defenses_take_turns_and_the_first_round_does_not_count(trainers: Trainers, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def time_steps(trainer: Trainer, stream: object, steps: int) -> float:
        order.append(trainer.plan.method)
        return 6.0 if len(order) > 2 else 1000.0

    monkeypatch.setattr(timing, "_time_steps", time_steps)
    blocks = time_epochs(trainers, Timing(threads=1, blocks=2, steps_per_block=3))
    assert sorted(order[:2]) == sorted(order[2:4]) == sorted(order[4:]) == sorted(METHODS)
    assert order[2:4] == order[4:][::-1], "the order turns from round to round"
    # 6 seconds for 3 steps of 16, and 96 images are 6 steps.
    assert (blocks["seconds_per_epoch"] == 12.0).all()


def test_the_summary_has_medians_quartiles_and_ratios_taken_within_a_round() -> None:
    columns = {"defense": ["fgsm_adv", "proposed"] * 3, "block": [0, 0, 1, 1, 2, 2]}
    blocks = pd.DataFrame({**columns, "seconds_per_epoch": [1.0, 1.1, 2.0, 2.4, 10.0, 13.0]})
    summary = summarise(blocks).set_index("defense")
    assert list(summary.index) == ["fgsm_adv", "proposed"]
    ratios = ["ratio_lower", "ratio_median", "ratio_upper"]
    assert summary.loc["proposed", ["seconds_median", *ratios]].tolist() == pytest.approx([2.4, 1.15, 1.2, 1.25])
    assert (summary.loc["fgsm_adv", ratios] == 1).all()
    assert summarise(blocks[blocks["defense"] == "proposed"])[ratios].isna().all(axis=None), (
        "there is no FGSM-Adv to compare with"
    )


def test_the_clock_is_read_when_the_device_has_ended(trainers: Trainers, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of more than an epoch."""
    events: list[str] = []
    before = trainers["vanilla"].network[0].weight.clone()
    clock = timing.time.perf_counter
    monkeypatch.setattr(timing, "synchronise", lambda device: events.append("wait"))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: events.append("read") or clock())
    time_epochs(trainers, Timing(threads=1, blocks=1, steps_per_block=15))
    assert not torch.equal(before, trainers["vanilla"].network[0].weight)
    assert events == ["wait", "read"] * 2 * 2 * len(trainers)
