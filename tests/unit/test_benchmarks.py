"""What can be wrong with a benchmark whatever the machine; no time is judged here."""

import itertools
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advtrain.data.examples import Examples
from advtrain.defenses import registry
from advtrain.fast import choice as fast
from advtrain.results.code import SRC
from advtrain.system.errors import InputError
from benchmarks import bench, gpu, libraries, measure, optimisations, overhead, plain
from benchmarks.libraries import ART, OURS, PLAIN_LOOP, agreement
from benchmarks.measure import interleave, ratio
from benchmarks.setup import CONFIG, Setup


@pytest.fixture
def setup(examples: Examples) -> Setup:
    return Setup(training=examples, test=examples)


@given(number=st.integers(1, 6), rounds=st.integers(1, 8))
def test_all_contenders_run_once_a_round_and_each_is_first_in_its_turn(number: int, rounds: int) -> None:
    ran: list[str] = []
    names = [f"contender {place}" for place in range(number)]
    table = interleave({name: lambda name=name: ran.append(name) for name in names}, rounds)
    turns = [ran[start : start + number] for start in range(0, len(ran), number)]
    assert len(turns) == rounds + 1, "a round to warm up"
    assert all(sorted(turn) == names for turn in turns)
    assert [turn[0] for turn in turns[1:]] == [names[place % number] for place in range(rounds)]
    assert table["contender"].tolist() == ran[number:]
    assert table["round"].tolist() == [place // number for place in range(number * rounds)]


def test_the_warm_up_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.accumulate([0, 100, 0, 100, 0, 1, 0, 2])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert interleave({"a": int, "b": int}, rounds=1)["seconds"].tolist() == [1, 2]


def test_a_ratio_is_taken_within_a_round_so_that_a_machine_that_slows_down_does_not_change_it() -> None:
    rows = [("a", 0, 1.0), ("b", 0, 1.1), ("b", 1, 2.4), ("a", 1, 2.0), ("a", 2, 10.0), ("b", 2, 13.0)]
    assert ratio(pd.DataFrame(rows, columns=["contender", "round", "seconds"]), "b", "a") == "1.20 (1.15-1.25)"


def test_the_plan_of_a_defense_is_that_of_the_configuration(setup: Setup) -> None:
    plan = setup.plan("bim30_adv")
    assert plan.defense == {"method": "bim_adv", "iterations": 30, "labels": CONFIG["training"]["labels"]}
    assert (plan.network, plan.batch_size, plan.epsilon, plan.seeds) == (CONFIG["network"], 64, 0.3, (0,))


@pytest.mark.filterwarnings("ignore")  # theirs, about imports and types
def test_all_libraries_give_our_adversarial_examples(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "BATCH_SIZE", 40)  # 96 images: the last batch is smaller
    table = libraries.measure(setup, rounds=1)
    assert set(table["contender"]) == {OURS, PLAIN_LOOP, "torchattacks", "foolbox", ART}
    assert (table["largest_difference"][table["contender"] != ART] <= 1e-12).all()


@pytest.mark.parametrize("name", ["other", ART])
def test_a_library_that_loses_a_step_is_refused(name: str) -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    runs = {OURS: lambda: x + 0.3, name: lambda: x + 0.27}
    with pytest.raises(InputError, match=name):
        agreement(runs, runs)


@pytest.mark.parametrize("name", CONFIG["defenses"])
def test_the_plain_loop_trains_on_our_loss(name: str, setup: Setup, examples: Examples) -> None:
    plan, network, index = setup.plan(name), setup.trainer(name).network, torch.arange(16)
    ours = registry.create(plan.defense, epsilon=plan.epsilon)
    ours.start_training(examples.x)
    theirs = plain.loss_of_defense(plan, examples)
    for _ in range(2):  # the second looks at what Proposed and ATDA carry
        x, y = examples.x[index], examples.y[index]
        expected = ours.outcome(network, x, y, index).loss.item()
        assert theirs(network, x, y, index).item() == pytest.approx(expected, rel=1e-4)


def test_the_plain_loop_learns(setup: Setup, examples: Examples) -> None:
    plan = replace(setup.plan("vanilla"), batch_size=16)
    losses = list(itertools.islice(plain.training_steps(plan, setup.trainer("vanilla").network, examples), 60))
    assert sum(losses[-6:]) < sum(losses[:6]) / 2


def test_a_script_without_work_writes_its_outputs_and_not_what_another_wrote() -> None:
    assert overhead.outputs_of(SRC / "train.py") == {"--model", "--history", "--output"}
    assert overhead.outputs_of(SRC / "sweep_bim.py") == {"--output"}, "the model that it attacks was written by train.py"


def test_snakemake_runs_a_job_for_each_evaluation_and_report() -> None:
    pairs = len(CONFIG["datasets"]) * len(CONFIG["defenses"])
    assert overhead.run_stubs() > 5 * pairs, "a training, and a handful of evaluations, of each pair of data set and defense"


def test_the_page_has_a_line_for_each_contender_with_its_ratios_and_the_provenance(setup: Setup) -> None:
    parts = {
        "attack": [OURS, ART],
        "epochs": [f"{defense}, {by}" for defense in CONFIG["defenses"] for by in (OURS, PLAIN_LOOP)],
        "optimisations": [f"{optimisations.KEPT_ATTACK}: {how}" for how in (optimisations.WITH, optimisations.WITHOUT)],
        "overhead": ["train", overhead.IMPORT_TORCH, overhead.SNAKEMAKE],
    }
    others = {"seconds": 1.0, "largest_difference": float("nan"), "differing_pixels": 0.0, "jobs": 101}
    tables = {part: interleave(dict.fromkeys(names, int), 2).assign(**others) for part, names in parts.items()}
    tables["epochs"].loc[tables["epochs"]["contender"] == f"proposed, {PLAIN_LOOP}", "seconds"] = 3.0
    without = tables["optimisations"]["contender"] == f"{optimisations.KEPT_ATTACK}: {optimisations.WITHOUT}"
    tables["optimisations"].loc[without, "seconds"] = 1.5
    page = bench.page(tables, bench.provenance(setup))
    lines = {
        cells[1]: cells[2:-1] for line in page.splitlines() if len(cells := [cell.strip() for cell in line.split("|")]) > 2
    }
    assert {OURS, ART, *CONFIG["defenses"], "train", overhead.SNAKEMAKE} <= lines.keys()
    assert lines["proposed"] == ["1.00", "3.00 (3.00-3.00)", "1.00 (1.00-1.00)", "1.09"]
    assert lines[optimisations.KEPT_ATTACK] == ["1.50 (1.50-1.50)"]
    assert all(part in page for part in ("foolbox", "commit", "101 jobs"))


def test_an_optimisation_is_measured_against_the_same_work_without_it(setup: Setup) -> None:
    attacks = optimisations.attacks(setup)
    frozen, plain_network = (attacks[f"{optimisations.FROZEN}: {how}"] for how in (optimisations.WITH, optimisations.WITHOUT))
    assert fast.frozen(frozen.args[0]) is not frozen.args[0]
    assert fast.frozen(plain_network.args[0]) is plain_network.args[0]
    torch.testing.assert_close(frozen(), plain_network())
    trainings = optimisations.trainings(setup, steps=2)
    together, alone = (trainings[f"{optimisations.SEEDS}: {how}"] for how in (optimisations.WITH, optimisations.WITHOUT))
    torch.testing.assert_close(torch.tensor(together()), torch.tensor(alone()).movedim(0, -1))


def test_every_optimisation_is_timed_with_and_without(setup: Setup) -> None:
    table = optimisations.measure(setup, rounds=1, steps=1)
    names = (optimisations.FROZEN, optimisations.KEPT_TRAINING, optimisations.KEPT_ATTACK, optimisations.SEEDS)
    assert set(table["contender"]) == {
        f"{name}: {how}" for name in names for how in (optimisations.WITH, optimisations.WITHOUT)
    }


@pytest.fixture
def without_gpu(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> gpu.Bench:
    monkeypatch.setattr(gpu, "BATCH", 8)
    monkeypatch.setattr(gpu, "SEEDS", 2)
    monkeypatch.setattr(gpu, "MANY", 12)
    monkeypatch.setattr(gpu, "STEPS", 2)
    return gpu.Bench(setup, torch.device("cpu"))


@pytest.mark.filterwarnings("ignore")  # the libraries', about imports and types
def test_the_gpu_benchmark_measures_all_cases_and_its_self_test_passes_on_a_cpu(
    without_gpu: gpu.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slow in ("rate", "peak", "start"):  # a large product, CUDA's memory, a process
        monkeypatch.setattr(gpu.Bench, slow, lambda *arguments: 1.0)
    monkeypatch.setattr(gpu.Bench, "eager", lambda bench, run: (run(), 1.0)[1])  # once
    monkeypatch.setattr(gpu.Bench, "microseconds", lambda bench, run: (run(), 1.0)[1])
    cases = [case for case in without_gpu.cases() if "bim" not in case[1]]
    table = gpu.measure(iter(cases))
    assert len(table) == len(cases)
    assert table["passed"].all(), table[~table["passed"]]
    assert table["value"].notna().all()


def test_a_failed_gpu_test_is_seen_in_the_table_and_cases_end_with_the_time() -> None:
    cases = [("self-test", "wrong", lambda: 2.0, "", 1.0), ("speed", "slow", lambda: 3.0, "ms", None)]
    assert gpu.measure(iter(cases))["passed"].tolist() == [False, True]
    assert len(gpu.measure(iter(cases), budget=-1)) == 0
