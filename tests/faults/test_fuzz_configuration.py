"""Configurations drawn at random: each is refused in lines of text, or every value of it is what the scripts take."""

import copy
import io
import json
import math
import random
import shlex
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import yaml
from snakemake.common.configfile import load_configfile

from counting import Count
from workspace import REPOSITORY, load_checks

TEXT = (REPOSITORY / "config" / "config.yaml").read_text()
CONFIG = yaml.safe_load(TEXT)

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
TEXTS = (
    *(
        "",
        " ",
        "a\n",
        "\n",
        "a\0",
        "\x1b[2J",
        "\ud800",
        "\u202eevil",
        "MNIST",
        "Ж",
        "9",
        "1e400",
        "none",
        "small_cnn",
        "ground_truth",
    ),
    *(
        "$(touch evil)",
        "`touch evil`",
        "; touch evil",
        "a b",
        "it's",
        '"',
        "*",
        "?",
        "~",
        "~root",
        "-rf",
        "--help",
        "|",
        "&",
        ">evil",
    ),
    *(
        "..",
        "../evil",
        "a/../../evil",
        "/evil",
        "./evil",
        ".snakemake",
        "results/x",
        "{wildcards}",
        "{",
        "{{",
        "{params}",
        "<results>",
    ),
    *(
        "<script>alert(1)</script>",
        r"\input{/etc/passwd}",
        "$x$",
        "_x",
        "=1+1",
        "x" * 10_000,
        "mnist",
        "fmnist",
        "vanilla",
        "proposed",
    ),
)
NUMBERS = (
    *(0, 1, -1, 2, 10, 30, 10_000, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**18, 10**400, 16**6000),
    *(0.0, -0.0, 1.0, 0.5, -0.5, 1e-300, 5e-324, 1e300, 10.0, 80.0, math.nan, math.inf, -math.inf),
)
OTHERS = (
    None,
    True,
    False,
    b"x",
    date(2019, 6, 1),
    1j,
    (1, 2),
    {1, 2},
    [],
    {},
    [[]],
    [None],
    {"a": {"b": 1}},
    {1: 2},
    {None: 1},
    ENDLESS,
)
VALUES = (*TEXTS, *NUMBERS, *OTHERS)
KEYS = (*TEXTS, 1, 1.5, None, True, date(2019, 6, 1), (1,))

Checks = Callable[[Any], list[str]]


@pytest.fixture(scope="module")
def wrong() -> Checks:
    """What rules/validate.smk says of a configuration."""
    return load_checks().wrong


def leaves(value: Any, keys: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Every value that is no mapping and no list, with its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield keys, value
        return
    for key, item in items:
        yield from leaves(item, (*keys, key))


def places(value: Any, depth: int = 6) -> list[tuple[Any, Any]]:
    """Every container with each of its keys, as deep as a configuration goes."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in items if depth] + [one for _, item in items if depth for one in places(item, depth - 1)]


def changed(drawn: random.Random) -> dict:
    """The paper's configuration with one to three places replaced, removed or added."""
    config = copy.deepcopy(CONFIG)
    for _ in range(drawn.choice((1, 1, 2, 3))):
        container, key = drawn.choice(places(config))
        value = copy.deepcopy(drawn.choice((*VALUES, *(container[key] for container, key in places(config)))))
        action = drawn.random()
        if action < 0.7:
            container[key] = value
        elif action < 0.8:
            del container[key]
        elif isinstance(container, list):
            container.append(value)
        else:
            container[drawn.choice(KEYS)] = value
        if not config:
            break
    return config


def refused(wrong: Checks, config: Any) -> bool:
    """Hold the answer to its form, and what is accepted to what is safe; whether it was refused."""
    lines = wrong(config)
    for line in lines:
        assert line.isprintable(), repr(line)
        line.encode()
    if not lines:
        assert_safe(config)
        assert_rules_take(config)
    return bool(lines)


def assert_safe(config: dict) -> None:
    """Every value is of its kind in the paper's configuration, and a script's option takes it as Snakemake writes it."""
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    for keys, value in leaves(config):
        if type(value) is int:
            assert click.IntRange(0, 2**32).convert(str(value), None, None) == value, keys
        elif type(value) is float:
            assert math.isfinite(click.FLOAT.convert(str(value), None, None)), keys
        elif type(value) is str:
            assert not set(value) & set("\0\n\r\x1b\u2028\u202e"), keys
            value.encode()
            if keys[-1] not in ("title", "local_folder"):
                assert shlex.quote(value) == value, keys
        else:
            assert type(value) is bool, keys
            assert keys == ("cuda_graph",)
    for name in (*config["datasets"], *config["defenses"]):
        assert name.isidentifier()
        assert shlex.quote(name) == name
    results = config.get("pathvars", {}).get("results", "results")
    assert Path("/here").joinpath(results).resolve().is_relative_to("/here")
    assert not set(results) & set("{}<>~*?[] ")
    assert not any(part.startswith((".", "-")) for part in Path(results).parts)
    divisors = [defense["training"].get("step_divisor", 1) for defense in config["defenses"].values()]
    for dataset in config["datasets"].values():
        assert all(math.isfinite(dataset["epsilon"] / divisor) for divisor in divisors)


COMMON = compile(
    (REPOSITORY / "rules" / "common.smk").read_text().partition("\n\nwildcard_constraints:")[0], "common.smk", "exec"
)


def assert_rules_take(config: dict) -> None:
    """What all rules share can be made of the configuration; but for its last lines it is plain Python."""
    exec(COMMON, {"workflow": SimpleNamespace(basedir=str(REPOSITORY)), "config": config, "expand": lambda path, **_: [path]})


def test_places_replaced_removed_and_added(wrong: Checks, count: Count) -> None:
    drawn = random.Random(0)
    tried = 4000
    answers = [refused(wrong, changed(drawn)) for _ in range(tried)]
    assert 100 < answers.count(False) < tried / 2, "both answers must have been seen"
    count("configurations tried", tried)


@pytest.mark.parametrize("section", ["datasets", "defenses"])
def test_every_text_as_a_name(wrong: Checks, section: str, count: Count) -> None:
    """A name is a part of paths."""
    answers = []
    for key in KEYS:
        config = copy.deepcopy(CONFIG)
        config[section][key] = config[section].popitem()[1]
        answers.append(refused(wrong, config))
    assert set(answers) == {True, False}
    count("configurations tried", len(KEYS))


def test_every_value_at_every_place(wrong: Checks, count: Count) -> None:
    """Of a configuration with one data set and each kind of defense once, so that no place is as another."""
    small = copy.deepcopy(CONFIG)
    small["evaluation"]["sweep_iterations"] = [10, 30]
    for section, names in (("datasets", ["fmnist"]), ("defenses", ["atda", "bim30_adv"])):
        for name in names:
            del small[section][name]
    assert wrong(small) == []
    tried = 0
    for turn in range(len(places(small))):
        for value in VALUES:
            config = copy.deepcopy(small)
            container, key = places(config)[turn]
            container[key] = copy.deepcopy(value)
            refused(wrong, config)
            tried += 1
    count("configurations tried", tried)


def test_the_text_of_the_configuration_with_some_of_it_changed(wrong: Checks, count: Count) -> None:
    """As Snakemake loads it. What Snakemake itself cannot load never comes to the checks, and runs nothing either."""
    drawn = random.Random(1)
    tried, answers = 1200, []
    pieces = (*TEXTS[:40], *"#[]}_e", "- ", ": ", "\n", "  ", "&a ", "*a", "!!python/tuple ", "!!set ", "<<: ", "? ", "1.")
    for _ in range(tried):
        text = TEXT
        for _ in range(drawn.randint(1, 4)):
            start = drawn.randrange(len(text))
            text = text[:start] + drawn.choice(("", *pieces)) + text[start + drawn.choice((0, 1, 2, 20)) :]
        try:
            config = load_configfile(io.StringIO(text))
        except Exception:
            continue
        answers.append(refused(wrong, config))
    assert answers.count(False) > 20
    assert answers.count(True) > 50
    count("configurations tried", tried)
