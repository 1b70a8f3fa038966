import pandas as pd
import pytest
import torch

from advtrain.data.examples import Examples
from advtrain.training import timing
from advtrain.training.timing import Timing, summarise, time_epochs
from advtrain.training.trainer import Trainer
from trainings import plan

METHODS = ["vanilla", "fgsm_adv"]


@pytest.fixture
def trainers(examples: Examples) -> dict[str, Trainer]:
    return {name: Trainer(plan(name, batch_size=16), examples, [0]) for name in METHODS}


def settings(blocks: int, steps_per_block: int) -> Timing:
    return Timing(blocks=blocks, steps_per_block=steps_per_block, threads=1)


@pytest.mark.parametrize("steps_per_block", [2, 15], ids=["part of an epoch", "more than an epoch"])
def test_every_defense_is_trained_for_real_and_timed_in_every_round(steps_per_block: int, trainers: dict[str, Trainer]) -> None:
    before = trainers["vanilla"].network[0].weight.clone()
    blocks = time_epochs(trainers, settings(blocks=2, steps_per_block=steps_per_block))
    assert not torch.equal(before, trainers["vanilla"].network[0].weight)
    assert sorted(zip(blocks["defense"], blocks["block"], strict=True)) == [(d, b) for d in sorted(METHODS) for b in range(2)]
    assert (blocks["seconds_per_epoch"] > 0).all()


def test_defenses_take_turns_and_the_first_round_is_not_counted(
    trainers: dict[str, Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def time_steps(trainer: Trainer, stream: object, steps: int) -> float:
        order.append(trainer.plan.method)
        return 6.0 if len(order) > 2 else 1000.0

    monkeypatch.setattr(timing, "_time_steps", time_steps)
    blocks = time_epochs(trainers, settings(blocks=2, steps_per_block=3))
    assert sorted(order[:2]) == sorted(order[2:4]) == sorted(order[4:]) == sorted(METHODS)
    assert order[2:4] == order[4:][::-1], "the order turns from round to round"
    # 6 seconds for 3 steps of 16, and 96 images are 6 steps.
    assert (blocks["seconds_per_epoch"] == 12.0).all()


def test_the_summary_has_medians_quartiles_and_ratios_taken_within_a_round() -> None:
    columns = {"defense": ["fgsm_adv", "proposed"] * 3, "block": [0, 0, 1, 1, 2, 2]}
    blocks = pd.DataFrame({**columns, "seconds_per_epoch": [1.0, 1.1, 2.0, 2.4, 10.0, 13.0]})
    summary = summarise(blocks).set_index("defense")
    assert list(summary.index) == ["fgsm_adv", "proposed"]
    assert summary.loc["proposed", "seconds_median"] == 2.4
    ratios = ["ratio_lower", "ratio_median", "ratio_upper"]
    assert summary.loc["proposed", ratios].tolist() == pytest.approx([1.15, 1.2, 1.25])
    assert (summary.loc["fgsm_adv", ratios] == 1).all()
    assert summarise(blocks[blocks["defense"] == "proposed"])[ratios].isna().all(axis=None), (
        "there is no FGSM-Adv to compare with"
    )


def test_the_device_is_waited_for_before_each_reading_of_the_clock(
    trainers: dict[str, Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    clock = timing.time.perf_counter
    monkeypatch.setattr(timing, "synchronise", lambda device: events.append("wait"))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: events.append("read") or clock())
    time_epochs(trainers, settings(blocks=1, steps_per_block=1))
    assert events == ["wait", "read"] * 2 * 2 * len(trainers)
