"""AutoAttack, in a separate process: the package reseeds the global random state and switches tracing off."""

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from advtrain.data.examples import Examples
from advtrain.evaluation.table import Row, unpack_outcomes
from advtrain.networks.plain import initialise, new_network
from advtrain.results import checkpoint
from advtrain.results.parquet import read_provenance, read_table
from advtrain.results.provenance import made_by
from advtrain.system.errors import InputError
from killing import KilledError, checkpoints
from synthetic import write_synthetic_dataset

STAGES = ["apgd_ce", "apgd_t", "fab_t", "square", "autoattack"]
SETTINGS = {"epsilon": 0.2, "examples": 6, "subset_seed": 0, "fab_square_examples": 4, "batch_size": 2, "seed": 0}
BATCHES = 3 + 3 + 2 + 2


@pytest.fixture(scope="module")
def separate_process() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool


class RowsOfPixels(nn.Module):
    """The brightest of an image's first rows is its class; so sure that the cross-entropy's gradient is often zero.

    A budget of epsilon fools it where the gap between the brightest row and the others is below 2 epsilon.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * x[:, 0, : self.classes].mean(dim=2)


Run = tuple[list[Row], int]
"""The rows, and how often the state was saved, which is the number of batches."""


def evaluate(kill_after: tuple[int, ...] = ()) -> Run:
    """A run that is killed after some of its batches, and resumed each time."""
    from advtrain.evaluation import auto_attack

    x = torch.full((6, 1, 28, 28), 0.2)
    # Wrong when clean, withstands, an easy prey, one for gradients and not for Square, one for gradients, withstands.
    for k, gap in enumerate((-0.1, 0.45, 0.01, 0.39, 0.3, 0.45)):
        x[k, 0, k] += gap
    data, settings = Examples(x, torch.arange(6)), auto_attack.AutoAttackSettings(**SETTINGS)
    saved: list[auto_attack.State] = [{}]

    def save(state: auto_attack.State) -> None:
        saved.append({attack: outcomes.clone() for attack, outcomes in state.items()})
        if len(saved) - 1 in kill_after:
            raise KilledError

    def run() -> list[Row]:
        return list(auto_attack.autoattack(RowsOfPixels(), data, settings, state=saved[-1], save=save))

    for _ in kill_after:
        with pytest.raises(KilledError):
            run()
    return run(), len(saved) - 1


@pytest.fixture(scope="module")
def straight_run(separate_process: Executor) -> Run:
    return separate_process.submit(evaluate).result()


def test_there_is_a_row_for_each_attack_and_one_for_all(straight_run: Run) -> None:
    rows, saved = straight_run
    assert saved == BATCHES
    assert [row["attack"] for row in rows] == STAGES
    assert [row["examples"] for row in rows] == [6, 6, 4, 4, 4]
    assert [row["iterations"] for row in rows] == [100, 100, 100, 5000, 0]
    assert [row["loss"] for row in rows] == ["cross_entropy", "targeted_dlr", "distance", "margin", "worst"]
    for row in rows:
        assert (row["epsilon"], row["step_size"]) == (0.2, None)
        assert row["accuracy"] == row["correct"] / row["examples"]


def test_images_fall_to_the_attacks_that_can_fool_the_model_on_them_and_to_those_after(straight_run: Run) -> None:
    first, second, *rest = (unpack_outcomes(row["outcomes"], row["examples"]).tolist() for row in straight_run[0])
    assert first == [False, True, False, True, True, True], "the cross-entropy is flat on the surer images"
    assert second == [False, True, False, False, False, True]
    assert rest == [[False, True, False, False]] * 3


def test_a_run_killed_in_any_attack_resumes_and_ends_with_the_same_rows(separate_process: Executor, straight_run: Run) -> None:
    within_apgd_ce, after_apgd_ce, within_fab, within_square = 2, 3, 7, 9
    run = separate_process.submit(evaluate, (within_apgd_ce, after_apgd_ce, within_fab, within_square)).result()
    assert run == straight_run, "rows, and no batch twice"


def attacked(gaps: list[float], classes: int) -> list[tuple[str, int]] | str:
    """Attack and images that withstood it, of each row, where images' own rows are brighter by `gaps`; or the error."""
    from advtrain.evaluation import auto_attack

    x, y = torch.full((len(gaps), 1, 28, 28), 0.2), torch.arange(len(gaps)) % classes
    x[range(len(gaps)), 0, y] += torch.tensor(gaps).unsqueeze(1)
    settings = auto_attack.AutoAttackSettings(**SETTINGS | {"examples": len(gaps), "fab_square_examples": len(gaps)})
    data = Examples(x.nan_to_num(), y, classes=classes)
    model = RowsOfPixels(classes)
    if any(map(math.isnan, gaps)):
        model.register_forward_hook(lambda module, images, logits: torch.where(logits > 100, torch.nan, logits))
    try:
        rows = auto_attack.autoattack(model, data, settings, state={}, save=lambda state: None)
        return [(row["attack"], row["correct"]) for row in rows]
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("gap", [0.01, 0.45])
def test_one_image_alone_falls_or_withstands(gap: float, separate_process: Executor) -> None:
    rows = separate_process.submit(attacked, [gap], 10).result()
    assert rows == [(stage, int(gap > 0.4)) for stage in STAGES]


def test_where_no_image_is_right_there_is_nothing_to_attack(separate_process: Executor) -> None:
    assert separate_process.submit(attacked, [-0.1] * 3, 10).result() == [(stage, 0) for stage in STAGES]


def test_a_model_without_answers_is_one_line(separate_process: Executor) -> None:
    said = separate_process.submit(attacked, [0.45, math.nan, 0.45], 10).result()
    assert said == "the logits of some images are NaN or infinite, so the classifier has no answer to them"


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_with_few_classes_there_are_as_many_targets_and_no_loss_of_four_logits_below_four(
    classes: int, separate_process: Executor
) -> None:
    rows = separate_process.submit(attacked, [0.01, 0.45, 0.45], classes).result()
    assert rows == [(stage, 2) for stage in STAGES if stage != "apgd_t" or classes == 4]


def run_script(options: dict[str, str], killed_after: int | None = None) -> tuple[int, str, int]:
    """Exit status, stderr and number of checkpoints of the script; killed after some of them."""
    import autoattack

    with checkpoints(killed_after) as saves:
        result = CliRunner().invoke(autoattack.main, [text for name, value in options.items() for text in (f"--{name}", value)])
    assert isinstance(result.exception, SystemExit | KilledError | None), result.exception
    return result.exit_code, result.stderr, len(saves)


@pytest.fixture
def script(separate_process: Executor) -> Callable[..., tuple[int, str, int]]:
    return lambda *arguments: separate_process.submit(run_script, *arguments).result()


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    write_synthetic_dataset(tmp_path / "data", seed=0)
    networks = {"0": new_network("small_cnn"), "1": new_network("small_cnn")}
    for seed, network in networks.items():
        initialise(network, torch.Generator().manual_seed(int(seed)))
    weights = {seed: network.state_dict() for seed, network in networks.items()}
    checkpoint.save(tmp_path / "m.pt", {"weights": weights, "network": "small_cnn", "provenance": made_by({}).content()})
    return {
        "dataset": "mnist",
        "defense": "vanilla",
        "model": str(tmp_path / "m.pt"),
        "images": str(tmp_path / "data" / "t10k-images-idx3-ubyte"),
        "labels": str(tmp_path / "data" / "t10k-labels-idx1-ubyte"),
        "settings": json.dumps(SETTINGS),
        "batch-size": "2",
        "device": "cpu",
        "checkpoint": str(tmp_path / "out" / "m.checkpoint"),
        "output": str(tmp_path / "out" / "m.parquet"),
    }


def test_a_killed_script_leaves_a_checkpoint_of_its_settings_resumes_there_and_deletes_it(
    script: Callable[..., tuple[int, str, int]], options: dict[str, str]
) -> None:
    output, resumable = Path(options["output"]), Path(options["checkpoint"])
    assert script(options) == (0, "", 2 * BATCHES), "two seeds"
    assert not resumable.exists()
    straight = output.read_bytes()
    table = read_table(output).to_pylist()
    assert [(row["seed"], row["attack"]) for row in table] == [(seed, attack) for seed in (0, 1) for attack in STAGES]
    assert read_provenance(output).record["settings"] == {"dataset": "mnist", "defense": "vanilla", **SETTINGS}

    output.unlink()
    killed_after = BATCHES + 3
    script(options, killed_after)
    kept = resumable.read_bytes()
    others = {"epsilon": 0.3, "examples": 5, "subset_seed": 1, "fab_square_examples": 3, "batch_size": 3, "seed": 1}
    for key, value in others.items():
        status, stderr, saves = script({**options, "settings": json.dumps({**SETTINGS, key: value})})
        assert (status, saves) == (1, 0)
        assert f"{key} was {SETTINGS[key]}, is {value}" in stderr
        assert resumable.read_bytes() == kept
        assert not output.exists()
    assert script(options) == (0, "", 2 * BATCHES - killed_after), "the first seed's images are not attacked again"
    assert not resumable.exists()
    assert output.read_bytes() == straight
