"""A section of the configuration becomes one value, or one line that names the key that is wrong."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from advtrain.system.errors import InputError
from advtrain.system.settings import read_settings
from advtrain.training.plan import Plan
from cli.command import FromJson
from trainings import PLAN


@dataclass(frozen=True, kw_only=True)
class Step:
    divisor: float
    iterations: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: Literal["bim", "pgd"]
    step: Step
    random: bool
    pair: tuple[int, str]
    of: Mapping[str, Step]
    limit: int | tuple[int, ...] | Step | None = None


STEP = {"divisor": 10, "iterations": [1, 2]}
VALUES = {"name": "bim", "step": STEP, "random": True, "pair": [1, "a"], "of": {"mnist": {"divisor": 2.5}}}


def test_a_section_becomes_a_value_with_tuples_for_lists_and_floats_for_integers() -> None:
    found = read_settings(Attack, VALUES, "attack")
    step, of = Step(divisor=10.0, iterations=(1, 2)), {"mnist": Step(divisor=2.5)}
    assert found == Attack(name="bim", step=step, random=True, pair=(1, "a"), of=of)
    assert type(found.step.divisor) is float


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (None, None), ([1, 2], (1, 2)), ({"divisor": 1}, Step(divisor=1.0))])
def test_a_value_may_be_of_any_type_of_a_union(value: object, expected: object) -> None:
    assert read_settings(Attack, {**VALUES, "limit": value}).limit == expected


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("attack.speed", {"speed": 1}),
        ("attack.step.size", {"step": {**STEP, "size": 2}}),
        ("attack.step.divisor", {"step": {}}),
        ("attack.step", {"step": 3}),
        ("attack.step.divisor", {"step": {"divisor": True}}),
        ("attack.step.iterations[1]", {"step": {"divisor": 1, "iterations": [1, 2.5]}}),
        ("attack.step.iterations", {"step": {"divisor": 1, "iterations": 3}}),
        ("attack.pair[0]", {"pair": [True, "a"]}),
        ("attack.random", {"random": 1}),
        ("attack.name", {"name": "fgsm"}),
        ("attack.pair", {"pair": [1]}),
        ("attack.of.mnist.divisor", {"of": {"mnist": {}}}),
        ("attack.limit", {"limit": "3"}),
    ],
    ids=str,
)
def test_what_is_wrong_or_missing_is_one_line_that_names_the_key_in_full(key: str, changes: dict) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(key)} ") as error:
        read_settings(Attack, VALUES | changes, "attack")
    assert "\n" not in str(error.value)
    for missing in VALUES:
        with pytest.raises(InputError, match=f"^attack.{missing} is missing$"):
            read_settings(Attack, {name: value for name, value in VALUES.items() if name != missing}, "attack")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (json.dumps(VALUES), 0, "pair=(1, 'a')"),
        ("{name: bim}", 2, "is not JSON"),
        ("[1]", 2, "section"),
        (json.dumps(VALUES | {"random": "yes"}), 2, "random is 'yes'"),
    ],
)
def test_a_parameter_of_json_is_a_value_or_one_line(text: str, status: int, said: str) -> None:
    parameter = click.Argument(["message"], type=FromJson(Attack))
    result = CliRunner().invoke(click.Command("main", params=[parameter], callback=click.echo), [text])
    assert result.exit_code == status
    assert said in result.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("key", "wrong"),
    {
        "epsilon": [0, -0.3, 1.5, float("nan")],
        **{key: [0] for key in ("examples", "epochs", "batch_size", "monitor_examples", "monitor_iterations")},
        "learning_rate": [0, float("inf")],
        "weight_decay": [-0.1],
        "optimiser": ["adagrad"],
        "precision": ["float16"],
        "augment": ["crop"],
        "aligned": [0],
        "momentum": [1],
        "schedule": [[[2, 1], [1, 1]], [[1, -1]], [[1]]],
        "seeds": [[], [3, 3], [0.5]],
        "network": [3],
        "defense": ["vanilla"],
        "subset_seed": ["0"],
    }.items(),
)
def test_a_plan_refuses_a_wrong_value_by_name(key: str, wrong: list[Any]) -> None:
    assert read_settings(Plan, asdict(PLAN)) == PLAN
    for value in wrong:
        with pytest.raises(InputError, match=f"^{key}"):
            read_settings(Plan, asdict(PLAN) | {key: value})
