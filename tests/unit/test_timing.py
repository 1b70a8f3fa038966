import pandas as pd
import pytest
import torch

from advtrain.training.trainer import timing
from advtrain.data.examples import Examples
from advtrain.training.timing import summarise, time_epochs
from advtrain.training.trainer import Plan, Trainer

SETTINGS = {
    "vanilla": {"method": "vanilla"},
    "fgsm_adv": {"method": "fgsm_adv", "labels": "ground_truth"},
}


@pytest.fixture
def trainers(examples: Examples) -> dict[str, Trainer]:
    return {
        name: Trainer(Plan("small_cnn", settings, 0.3, 1, 16, 1e-3, 1, 1), examples, [0]) for name, settings in SETTINGS.items()
    }


def test_every_defense_is_timed_in_every_round(trainers: dict[str, Trainer]) -> None:
    blocks = time_epochs(trainers, blocks=3, steps_per_block=2)
    assert sorted(zip(blocks["defense"], blocks["block"], strict=True)) == [(d, b) for d in sorted(SETTINGS) for b in range(3)]
    assert (blocks["seconds_per_epoch"] > 0).all()


def test_defenses_take_turns_and_the_first_round_is_not_counted(
    trainers: dict[str, Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def time_steps(trainer: Trainer, stream: object, steps: int) -> float:
        order.append(trainer.plan.defense["method"])
        return 6.0 if len(order) > 2 else 1000.0

    monkeypatch.setattr(timing, "_time_steps", time_steps)
    blocks = time_epochs(trainers, blocks=2, steps_per_block=3)
    assert sorted(order[:2]) == sorted(order[2:4]) == sorted(order[4:]) == ["fgsm_adv", "vanilla"]
    assert order[2:4] == order[4:][::-1], "the order turns from round to round"
    # 6 seconds for 3 steps of 16, and 96 images are 6 steps.
    assert (blocks["seconds_per_epoch"] == 12.0).all()


def test_a_block_may_be_longer_than_an_epoch(trainers: dict[str, Trainer]) -> None:
    assert len(time_epochs(trainers, blocks=1, steps_per_block=15)) == 2


def test_the_summary_has_medians_quartiles_and_ratios_taken_within_a_round() -> None:
    blocks = pd.DataFrame(
        {
            "defense": ["fgsm_adv", "proposed"] * 3,
            "block": [0, 0, 1, 1, 2, 2],
            "seconds_per_epoch": [1.0, 1.1, 2.0, 2.4, 10.0, 13.0],
        }
    )
    summary = summarise(blocks).set_index("defense")
    assert list(summary.index) == ["fgsm_adv", "proposed"]
    assert summary.loc["proposed", "seconds_median"] == 2.4
    assert summary.loc["proposed", "ratio_median"] == pytest.approx(1.2), "not 2.4 / 2.0 by chance: the median of three ratios"
    assert summary.loc["proposed", "ratio_lower"] == pytest.approx(1.15)
    assert summary.loc["proposed", "ratio_upper"] == pytest.approx(1.25)
    assert (summary.loc["fgsm_adv", ["ratio_median", "ratio_lower", "ratio_upper"]] == 1).all()


def test_without_fgsm_adv_there_are_seconds_and_no_ratios() -> None:
    blocks = pd.DataFrame({"defense": ["vanilla"], "block": [0], "seconds_per_epoch": [1.0]})
    summary = summarise(blocks)
    assert summary["seconds_median"].tolist() == [1.0]
    assert summary["ratio_median"].isna().all()


def test_the_device_is_waited_for_before_each_reading_of_the_clock(
    trainers: dict[str, Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    clock = timing.time.perf_counter
    monkeypatch.setattr(timing, "synchronise", lambda device: events.append("wait"))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: events.append("read") or clock())
    time_epochs(trainers, blocks=1, steps_per_block=1)
    assert events == ["wait", "read"] * 2 * 2 * len(trainers)


def test_timing_trains_for_real(trainers: dict[str, Trainer]) -> None:
    before = trainers["vanilla"].network[0].weight.clone()
    time_epochs(trainers, blocks=1, steps_per_block=1)
    assert not torch.equal(before, trainers["vanilla"].network[0].weight)
