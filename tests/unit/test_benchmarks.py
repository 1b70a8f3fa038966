"""What can be wrong with a benchmark whatever the machine; no time is judged here."""

import itertools
import subprocess
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from advtrain import defenses
from advtrain.attacks.gradient import bim
from advtrain.data.examples import Examples
from advtrain.networks.plain import initialise, small_cnn
from advtrain.results.parquet import write_table
from advtrain.training.trainer import Trainer
from benchmarks import attack, limit, measure, plain
from benchmarks.bench import PARTS, conditions, tidy
from benchmarks.epochs import PLAIN_LOOP
from benchmarks.evaluation import AFRESH, SHARED, Cell
from benchmarks.flops import attack_step_flops, fgsm_adv_step_flops, matrix_product_flops
from benchmarks.ground import CONFIG, Ground
from benchmarks.kept import WITHOUT
from benchmarks.limit import share_of_peak
from benchmarks.measure import interleave, quartiles, ratios
from benchmarks.overhead import SCHEDULING, START, count_jobs, output_options, quick_seconds, workflow_of_stubs
from benchmarks.page import NOT_MEASURED, SECTIONS, page
from benchmarks.peers import OURS, Task
from benchmarks.plot import PANELS, plot

REPOSITORY = Path(__file__).parents[2]
CONFIGURATION = yaml.safe_load(CONFIG.read_text())
FORWARD = 2 * (14 * 14 * 16 * 4 * 4 * 1 + 7 * 7 * 32 * 4 * 4 * 16 + 32 * 7 * 7 * 100 + 100 * 10)
FIRST_LAYER = 2 * 14 * 14 * 16 * 4 * 4 * 1


@pytest.fixture
def network() -> nn.Module:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    return network.eval()


@pytest.fixture
def ground(examples: Examples) -> Ground:
    return Ground(training=examples, test=examples, config=CONFIGURATION, folder=Path("nowhere"))


def task(network: nn.Module, examples: Examples, dtype: torch.dtype) -> Task:
    data = examples.first(20)
    copy = small_cnn()
    copy.load_state_dict(network.state_dict())
    return Task(copy.eval().to(dtype), data.x.to(dtype), data.y, 8, epsilon=0.3, step_size=0.03, iterations=10)


# Measuring


@given(number=st.integers(1, 6), rounds=st.integers(1, 8))
def test_all_contenders_run_once_a_round_and_each_is_first_in_its_turn(number: int, rounds: int) -> None:
    ran: list[str] = []
    names = [f"contender {place}" for place in range(number)]
    table = interleave({name: lambda name=name: ran.append(name) for name in names}, rounds)
    turns = (
        list(itertools.batched(ran, number)) if hasattr(itertools, "batched") else list(zip(*[iter(ran)] * number, strict=True))
    )
    assert len(turns) == rounds + 1, "a round to warm up"
    assert all(sorted(turn) == names for turn in turns)
    assert [turn[0] for turn in turns[1:]] == [names[place % number] for place in range(rounds)]
    assert sorted(zip(table["round"], table["contender"], strict=True)) == [(r, n) for r in range(rounds) for n in names]


def test_the_warm_up_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([100.0, 100.0, 1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(measure, "_seconds", lambda run, device: next(seconds))
    table = interleave({"a": int, "b": int}, rounds=2)
    assert table["seconds"].tolist() == [1.0, 2.0, 2.0, 1.0]
    assert table["contender"].tolist() == ["a", "b", "b", "a"]


@pytest.fixture
def rounds() -> pd.DataFrame:
    """Three rounds of a machine that gets slower, in two cases."""
    rows = [(OURS, 0, 1.0), ("other", 0, 1.1), ("other", 1, 2.4), (OURS, 1, 2.0), (OURS, 2, 10.0), ("other", 2, 13.0)]
    table = pd.DataFrame(rows, columns=["contender", "round", "seconds"]).assign(threads=1, device="cpu")
    return pd.concat([table.assign(case="a"), table.assign(case="b", seconds=7 * table["seconds"])], ignore_index=True)


def test_ratios_are_taken_within_a_round_and_a_case(rounds: pd.DataFrame) -> None:
    found = ratios(rounds, OURS)
    assert found.tolist() == pytest.approx([1, 1.1, 1.2, 1, 1, 1.3] * 2)


def test_quartiles_are_those_of_the_rounds_in_the_order_of_the_table(rounds: pd.DataFrame) -> None:
    found = quartiles(rounds.assign(ratio=ratios(rounds, OURS)), ["contender"], "ratio")
    assert list(found.index) == [OURS, "other"]
    assert found.loc["other"].to_dict() == pytest.approx({"lower": 1.125, "median": 1.2, "upper": 1.275})


def test_the_share_of_the_limit_is_of_the_fastest_product_of_the_same_round() -> None:
    timed = pd.DataFrame(
        {
            "case": ["step", "product", "product"] * 2,
            "round": [0] * 3 + [1] * 3,
            "flops": [10.0, 100.0, 100.0] * 2,
            "seconds": [1.0, 2.0, 5.0, 1.0, 10.0, 4.0],
        }
    )
    assert share_of_peak(timed)["share_of_peak"].tolist() == pytest.approx([0.2, 1, 0.4, 0.4, 0.4, 1])


# The same work for all


def test_all_libraries_give_our_adversarial_examples(network: nn.Module, examples: Examples) -> None:
    with warnings.catch_warnings():  # theirs, about imports and types
        warnings.simplefilter("ignore")
        found = attack.differences(task(network, examples, torch.float32), task(network, examples, torch.float64))
    found = found.set_index("contender")
    assert set(found.index) == {OURS, "plain loop", "torchattacks", "foolbox", "ART"}
    assert (found["float64_differing"].drop("ART") == 0).all()
    assert (found["float64_largest_difference"].drop("ART") <= 1e-12).all()
    assert (found["float32_differing"] < 1e-4).all()
    assert found.loc["ART", ["float64_differing", "float64_largest_difference"]].isna().all()


def test_an_attack_that_loses_a_step_is_seen(network: nn.Module, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_step_less(task: Task) -> Tensor:
        return bim(task.network, task.x, task.y, epsilon=task.epsilon, step_size=task.step_size, iterations=task.iterations - 1)

    def all_steps(task: Task) -> Tensor:
        return bim(task.network, task.x, task.y, epsilon=task.epsilon, step_size=task.step_size, iterations=task.iterations)

    monkeypatch.setattr(
        attack, "contenders", lambda task: {OURS: lambda: all_steps(task), "lossy": lambda: one_step_less(task)}
    )
    found = attack.differences(task(network, examples, torch.float32), task(network, examples, torch.float64))
    lossy = found.set_index("contender").loc["lossy"]
    assert lossy["float64_largest_difference"] == pytest.approx(0.03)
    assert lossy["float64_differing"] > 0.1
    assert lossy["float32_differing"] > 0.1


def test_contenders_attack_all_images_a_batch_at_a_time(network: nn.Module, examples: Examples) -> None:
    given = task(network, examples, torch.float32)
    sizes: list[int] = []
    assert torch.equal(given.in_batches(lambda x, y: sizes.append(len(x)) or x), given.x)
    assert sizes == [8, 8, 4]


@pytest.mark.parametrize("name", CONFIGURATION["defenses"])
def test_the_plain_loop_trains_on_our_loss(name: str, network: nn.Module, examples: Examples) -> None:
    settings = CONFIGURATION["defenses"][name]["training"]
    index = torch.arange(16)
    x, y = examples.x[index], examples.y[index]
    ours = defenses.create(settings, epsilon=0.3)
    ours.start_training(examples.x)
    theirs = plain.loss_of_defense(settings, examples, 0.3, torch.device("cpu"))
    for _ in range(2):  # the second looks at what Proposed and ATDA carry
        expected = ours.outcome(network, x, y, index).loss
        assert theirs(network, x, y, index).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_plain_loop_learns(ground: Ground, examples: Examples) -> None:
    trainer: Trainer = ground.trainer("fgsm_adv", examples, 16)
    loss_of = plain.loss_of_defense({"method": "vanilla"}, examples, 0.3, torch.device("cpu"))
    steps = plain.training_steps(trainer.network, examples, loss_of, batch_size=16, learning_rate=1e-3)
    losses = list(itertools.islice(steps, 60))
    assert sum(losses[-6:]) < sum(losses[:6]) / 2


def test_sharing_changes_no_figure_of_the_evaluation(network: nn.Module, examples: Examples) -> None:
    cell = Cell(network, examples, 0.3, batch_size=40, iterations=4)
    assert cell.trace() == cell.iterates_afresh()
    swept = [1, 2, 4, 6]
    assert sorted(cell.sweep_and_trace(swept)) == sorted(cell.sweep_and_iterates_afresh(swept))


# Counting


@given(images=st.integers(1, 5))
def test_flops_are_those_of_the_layers_by_hand(images: int) -> None:
    x = torch.zeros(images, 1, 28, 28)
    attack_step = 2 * FORWARD
    training = 2 * (3 * FORWARD - FIRST_LAYER)  # of twice the images; the first layer needs no gradient of its input
    assert attack_step_flops(small_cnn(), x) == images * attack_step
    assert fgsm_adv_step_flops(small_cnn(), x) == images * (attack_step + training)


def test_counting_leaves_no_trace(network: nn.Module) -> None:
    fgsm_adv_step_flops(network, torch.zeros(2, 1, 28, 28))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


def test_a_product_of_matrices_is_two_flops_for_each_multiplication() -> None:
    assert matrix_product_flops(3) == 2 * 3 * 3 * 3


def test_the_convolutions_do_as_many_flops_as_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "SIZES", (32, 48))
    for run, flops in limit._products(torch.device("cpu")).values():
        with FlopCounterMode(display=False) as counter:
            run()
        assert counter.get_total_flops() == flops


def test_jobs_are_counted_by_the_scripts_of_a_dry_run() -> None:
    assert count_jobs("  python3 src/train.py \\\n --x\n   python3 src/train.py \\\n python3 src/audit.py") == {
        "train": 2,
        "audit": 1,
    }


def test_the_seconds_of_a_quick_run_are_those_of_all_jobs_of_a_rule(tmp_path: Path) -> None:
    file = tmp_path / "cost.parquet"
    assert quick_seconds(file) == {}
    rows = [{"rule": "train", "seconds": 4.0}, {"rule": "train", "seconds": 1.0}, {"rule": "audit", "seconds": 0.5}]
    write_table(pa.Table.from_pylist(rows), file, {})
    assert quick_seconds(file) == {"train": 5.0, "audit": 0.5}


def test_the_stub_makes_the_files_behind_output_options_and_no_others(tmp_path: Path) -> None:
    assert output_options((REPOSITORY / "src/train.py").read_text()) == ["--model", "--history"]
    with workflow_of_stubs(CONFIGURATION["datasets"]) as folder:
        command = [folder / "bin/python3", "src/train.py", "--images", "in", "--checkpoint", "part", "--model", "a b.pt"]
        subprocess.run([*command, "--history", "h"], cwd=tmp_path, check=True)
        subprocess.run(
            [folder / "bin/python3", "src/figure1.py", "--figure", "1.svg", "--figure", "1.pdf"], cwd=tmp_path, check=True
        )
    assert {file.name for file in tmp_path.iterdir()} == {"a b.pt", "h", "1.svg", "1.pdf"}


# The page


def frame(case_and_contenders: list[tuple[str, str]], **columns: object) -> pd.DataFrame:
    rows = [(case, contender, number, 1.0 + number) for case, contender in case_and_contenders for number in range(3)]
    table = pd.DataFrame(rows, columns=["case", "contender", "round", "seconds"])
    return table.assign(threads=1, device="cpu", **columns)


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    unknown = float("nan")
    return {
        "attack": frame(
            [("batch 125", OURS), ("batch 125", "ART")],
            float64_largest_difference=unknown,
            float64_differing=unknown,
            float32_differing=0.00002,
        ),
        "epochs": frame([(name, by) for name in CONFIGURATION["defenses"] for by in (OURS, PLAIN_LOOP)]),
        "limit": share_of_peak(frame([("step", "attack step"), ("product", "torch.mm, 256")], flops=2e9)),
        "evaluation": frame([("trace", SHARED), ("trace", AFRESH)], same_figures=True),
        "overhead": frame([(START, "train"), (SCHEDULING, "whole DAG")], jobs=12, quick_seconds=unknown),
        "growth": frame(
            [("images", "15,000 images, batch 64")],
            images=15000,
            batch_size=64,
            seeds=8,
            loaded_bytes=2**30,
            peak_bytes=2**30,
            cuda_bytes=None,
        ),
        "kept": frame([("fused Adam", OURS), ("fused Adam", WITHOUT)]),
    }


def test_every_part_has_its_section_and_its_panels(ground: Ground, tables: dict[str, pd.DataFrame]) -> None:
    assert list(PARTS) == list(SECTIONS) == list(PANELS) == list(tables)
    text = page(tables, dict.fromkeys(tables, conditions(ground)), "picture.svg")
    assert NOT_MEASURED not in text
    for heading, _ in SECTIONS.values():
        assert f"### {heading}\n" in text
    for contender in ("ART", "bim30_adv", "attack step", "afresh", "train", "15000", "fused Adam"):
        assert contender in text
    assert "Only ratios mean something" in text
    assert "picture.svg" in text
    assert "No quick run at hand" in text
    assert len(plot(tables).axes) == sum(map(len, PANELS.values()))


def test_a_part_that_was_not_measured_is_named_as_such(ground: Ground, tables: dict[str, pd.DataFrame]) -> None:
    del tables["growth"]
    assert page(tables, dict.fromkeys(tables, conditions(ground)), "picture.svg").count(NOT_MEASURED) == 1


def test_the_page_names_machine_and_versions(ground: Ground, tables: dict[str, pd.DataFrame]) -> None:
    text = page(tables, dict.fromkeys(tables, conditions(ground)), "picture.svg")
    for name in ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox", "CPU cores"):
        assert name in text


def test_the_page_tells_parts_of_different_commits_apart(ground: Ground, tables: dict[str, pd.DataFrame]) -> None:
    made = {part: conditions(ground) | {"commit": "old" if part == "limit" else "new"} for part in tables}
    assert "Commit: new (attack, epochs, evaluation, overhead, growth, kept); old (limit)." in page(tables, made, "picture.svg")


def test_a_quick_run_at_hand_gives_the_shares(ground: Ground, tables: dict[str, pd.DataFrame]) -> None:
    # 12 starts of 2 s in 96 s of jobs; 2 s of scheduling beside 48 s on two cores.
    tables["overhead"] = tables["overhead"].assign(quick_seconds=96.0)
    text = page(tables, dict.fromkeys(tables, conditions(ground)), "picture.svg")
    assert "25 % of that is starts" in text
    assert "it is 4 % of the run" in text


def test_every_table_begins_with_the_same_columns(tables: dict[str, pd.DataFrame]) -> None:
    for part, table in tables.items():
        columns = tidy(part, table).column_names
        assert columns[:7] == ["part", "case", "contender", "threads", "device", "round", "seconds"]
        assert set(columns[7:]) == set(table.columns) - set(columns[:7])
