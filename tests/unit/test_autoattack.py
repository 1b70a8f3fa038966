"""AutoAttack, in a process of its own: the package reseeds the global random state and switches tracing off."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from advtrain.results.parquet import checkpoint
from advtrain.data.examples import Examples
from advtrain.networks.plain import initialise, new_network
from advtrain.results.parquet import Row, read_provenance, read_table, unpack_outcomes
from synthetic import write_synthetic_dataset

EPSILON = 0.2
STAGES = ["apgd_ce", "apgd_t", "fab_t", "square", "autoattack"]
NUMBERS = {"apgd_ce": 6, "apgd_t": 6, "fab_t": 4, "square": 4}
BATCH_SIZE = 2
BATCHES = 3 + 3 + 2 + 2


@pytest.fixture(scope="module")
def own_process() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool


class RowsOfPixels(nn.Module):
    """The brightest of an image's first ten rows is its class; so sure that the cross-entropy's gradient is often zero.

    A budget of epsilon fools it where the gap between the brightest row and the others is below 2 epsilon.
    """

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * x[:, 0, :10].mean(dim=2)


def images_of_gaps(*gaps: float) -> Examples:
    """Image k has class k, whose row is brighter than the others by a gap."""
    x = torch.full((len(gaps), 1, 28, 28), 0.2)
    for k, gap in enumerate(gaps):
        x[k, 0, k] += gap
    return Examples(x, torch.arange(len(gaps)))


class KilledError(Exception):
    pass


@dataclass(frozen=True)
class Run:
    rows: list[Row]
    saved: int
    """How often the state was, which is the number of batches."""
    attacked: list[int]
    """How many images the package was given each time."""


def evaluate(kill_after: tuple[int, ...] = ()) -> Run:
    """A run that is killed after some of its batches, and goes on each time."""
    from advtrain.evaluation.paper_attacks import auto_attack as autoattack

    # Wrong when clean, withstands, an easy prey, two for an attack that sees a gradient, withstands.
    data = images_of_gaps(-0.1, 0.45, 0.01, 0.35, 0.3, 0.45)
    settings = {"epsilon": EPSILON, "examples": NUMBERS, "seed": 0, "batch_size": BATCH_SIZE}
    saved: list[autoattack.State] = [{}]
    attacked: list[int] = []

    class Watched(autoattack.AutoAttack):
        def run_standard_evaluation(self, x: Tensor, *arguments: Any, **settings: Any) -> tuple[Tensor, Tensor]:
            attacked.append(len(x))
            return super().run_standard_evaluation(x, *arguments, **settings)

    def save(state: autoattack.State) -> None:
        saved.append({attack: outcomes.clone() for attack, outcomes in state.items()})
        if len(saved) - 1 in kill_after:
            raise KilledError

    def run() -> list[Row]:
        return list(autoattack.autoattack(RowsOfPixels(), data, **settings, state=saved[-1], save=save))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoattack, "AutoAttack", Watched)
        for _ in kill_after:
            with pytest.raises(KilledError):
                run()
        return Run(run(), len(saved) - 1, attacked)


@pytest.fixture(scope="module")
def straight_run(own_process: Executor) -> Run:
    return own_process.submit(evaluate).result()


@pytest.fixture
def straight(straight_run: Run) -> list[Row]:
    return straight_run.rows


def outcomes(row: Row) -> list[bool]:
    return unpack_outcomes(row["outcomes"], row["examples"]).tolist()


def test_there_is_a_row_for_each_attack_and_one_for_all(straight: list[Row]) -> None:
    assert [row["attack"] for row in straight] == STAGES
    assert [row["examples"] for row in straight] == [6, 6, 4, 4, 4]
    assert [row["iterations"] for row in straight] == [100, 100, 100, 5000, 0]
    assert [row["loss"] for row in straight] == ["cross_entropy", "targeted_dlr", "distance", "margin", "worst"]
    for row in straight:
        assert (row["epsilon"], row["step_size"]) == (EPSILON, None)
        assert row["accuracy"] == row["correct"] / row["examples"]


def test_images_fall_to_the_attacks_that_can_fool_the_model_on_them(straight: list[Row]) -> None:
    assert outcomes(straight[0]) == [False, True, False, True, True, True], "the cross-entropy is flat on the surer images"
    assert outcomes(straight[1]) == [False, True, False, False, False, True]
    for row in straight[2:]:
        assert outcomes(row) == [False, True, False, False]


def test_an_attack_takes_what_withstood_those_before(straight: list[Row]) -> None:
    for before, after in pairwise(straight):
        left = outcomes(before)[: after["examples"]]
        assert all(now <= then for now, then in zip(outcomes(after), left, strict=True))
        assert after["accuracy"] <= sum(left) / len(left)


def test_an_attack_is_given_the_images_that_still_stand(straight_run: Run) -> None:
    """In batches of two: of APGD-CE five images are right, of APGD-T four, of FAB and Square one of the first four."""
    assert straight_run.attacked == [1, 2, 2, 1, 1, 2, 1, 1]
    assert straight_run.saved == BATCHES


def test_a_run_killed_in_any_attack_goes_on_and_ends_with_the_same_rows(own_process: Executor, straight_run: Run) -> None:
    within_apgd_ce, after_apgd_ce, within_fab, within_square = 2, 3, 7, 9
    run = own_process.submit(evaluate, (within_apgd_ce, after_apgd_ce, within_fab, within_square)).result()
    assert run == straight_run, "rows, and no batch twice"


def withstood(x_adv: Tensor) -> list[bool]:
    """Whether images of brightness 0.1 withstand a package that makes these of them, all of which fool the model."""
    from advtrain.evaluation.paper_attacks import auto_attack as autoattack

    class Fooled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.eye(10)[1].expand(len(x), 10)

    package = SimpleNamespace(epsilon=EPSILON, model=Fooled(), run_standard_evaluation=lambda x, y, batch_size: (x_adv, y))
    data = Examples(torch.full((len(x_adv), 1, 28, 28), 0.1), torch.zeros(len(x_adv), dtype=torch.int64))
    return autoattack._withstands(package, data, torch.arange(len(x_adv)), torch.ones(len(x_adv), dtype=torch.bool)).tolist()


def test_an_example_outside_the_budget_or_the_box_does_not_count(own_process: Executor) -> None:
    x_adv = torch.full((6, 1, 28, 28), 0.1)
    for image, pixel in enumerate((0.3, 0.31, 0.0, -0.05, math.nan, math.inf)):
        x_adv[image, 0, 0, 0] = pixel
    assert own_process.submit(withstood, x_adv).result() == [False, True, False, True, True, True]


def command(options: dict[str, str], killed_after: int | None = None) -> tuple[int, str, int]:
    """Exit status, stderr and number of checkpoints of the script; killed after some of them."""
    import autoattack

    saves = 0
    save_state = checkpoint.save_state

    def save(*arguments: Any) -> None:
        nonlocal saves
        saves += 1
        save_state(*arguments)
        if saves == killed_after:
            raise KilledError

    checkpoint.save_state = save
    try:
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        result = CliRunner().invoke(autoattack.main, arguments)
    finally:
        checkpoint.save_state = save_state
    assert isinstance(result.exception, SystemExit | KilledError | None), result.exception
    return result.exit_code, result.stderr, saves


Script = Callable[..., tuple[int, str, int]]


@pytest.fixture
def script(own_process: Executor) -> Script:
    return lambda *arguments: own_process.submit(command, *arguments).result()


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    write_synthetic_dataset(tmp_path / "data", seed=0)
    trained: dict[str, dict[str, Tensor]] = {}
    for seed in (0, 1):
        network = new_network("small_cnn")
        initialise(network, torch.Generator().manual_seed(seed))
        trained[str(seed)] = network.state_dict()
    checkpoint.save(tmp_path / "m.pt", {"weights": trained, "network": "small_cnn", "provenance": {"config": {}}})
    return {
        "dataset": "mnist",
        "defense": "vanilla",
        "model": str(tmp_path / "m.pt"),
        "images": str(tmp_path / "data" / "t10k-images-idx3-ubyte"),
        "labels": str(tmp_path / "data" / "t10k-labels-idx1-ubyte"),
        "examples": "6",
        "fab-square-examples": "4",
        "subset-seed": "0",
        "attack-seed": "0",
        "epsilon": "0.3",
        "batch-size": "2",
        "device": "cpu",
        "checkpoint": str(tmp_path / "out" / "m.checkpoint"),
        "output": str(tmp_path / "out" / "m.parquet"),
    }


def test_a_killed_script_goes_on_at_its_checkpoint_and_deletes_it_at_the_end(
    script: Script, options: dict[str, str], tmp_path: Path
) -> None:
    status, _, saves = script(options)
    assert (status, saves) == (0, 2 * BATCHES), "two seeds"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["m.parquet"]
    straight = (tmp_path / "out" / "m.parquet").read_bytes()

    (tmp_path / "out" / "m.parquet").unlink()
    killed_after = BATCHES + 3
    script(options, killed_after)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["m.checkpoint"], "in the second seed"
    status, _, saves = script(options)
    assert (status, saves) == (0, 2 * BATCHES - killed_after), "the first seed's images are not attacked again"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["m.parquet"]
    assert (tmp_path / "out" / "m.parquet").read_bytes() == straight

    table = read_table(tmp_path / "out" / "m.parquet").to_pylist()
    assert [(row["dataset"], row["defense"], row["seed"], row["attack"]) for row in table] == [
        ("mnist", "vanilla", seed, attack) for seed in (0, 1) for attack in STAGES
    ]
    config = read_provenance(tmp_path / "out" / "m.parquet")["config"]
    assert (config["apgd_examples"], config["fab_square_examples"], config["attack_seed"]) == (6, 4, 0)


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("attack-seed", "1", "attack_seed was 0, is 1"),
        ("epsilon", "0.2", "epsilon was 0.3, is 0.2"),
        ("examples", "5", "apgd_examples was 6, is 5"),
        ("fab-square-examples", "3", "fab_square_examples was 4, is 3"),
        ("subset-seed", "1", "data was"),
        ("batch-size", "3", "batch_size was 2, is 3"),
    ],
)
def test_a_checkpoint_of_another_setting_is_named_and_kept(
    script: Script, options: dict[str, str], option: str, value: str, named: str
) -> None:
    script(options, 1)
    kept = Path(options["checkpoint"]).read_bytes()
    status, stderr, saves = script({**options, option: value})
    assert status == 1
    (error,) = stderr.splitlines()
    assert "checkpoint of another configuration" in error
    assert named in error
    assert saves == 0
    assert Path(options["checkpoint"]).read_bytes() == kept
    assert not Path(options["output"]).exists()


def test_fab_and_square_attack_no_more_images_than_apgd(script: Script, options: dict[str, str]) -> None:
    status, stderr, _ = script({**options, "fab-square-examples": "7"})
    assert status == 1
    assert stderr.splitlines() == ["Error: FAB and Square are to attack 7 of 6 examples"]
    assert not Path(options["output"]).exists()
