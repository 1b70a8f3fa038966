"""The configurations, their schema, and what a wrong one is told."""

from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from advtrain.data.examples import load_examples
from advtrain.data.idx import IDX_FILES, sha256
from synthetic import write_synthetic_dataset
from workspace import Workspace, load_checks, merged

REPOSITORY = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())
CONFIG = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
QUICK = yaml.safe_load((REPOSITORY / "config" / "quick.yaml").read_text())


def test_the_configurations_fit_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(CONFIG, SCHEMA)
    jsonschema.validate(merged(CONFIG, QUICK), SCHEMA)


def test_the_paper_s_scale_is_the_paper_s() -> None:
    assert CONFIG["training"]["examples"] == 60_000
    assert CONFIG["training"]["epochs"] == 80
    assert CONFIG["training"]["batch_size"] == 64
    assert CONFIG["training"]["seeds"] == [0, 1, 2, 3, 4]
    assert CONFIG["evaluation"]["examples"] == 10_000
    assert CONFIG["evaluation"]["sweep_iterations"] == [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30]
    assert {name: dataset["epsilon"] for name, dataset in CONFIG["datasets"].items()} == {"mnist": 0.3, "fmnist": 0.2}
    proposed = CONFIG["defenses"]["proposed"]["training"]
    assert (proposed["step_divisor"], proposed["reset_epochs"]) == (10, 20)


@pytest.mark.parametrize("config", [CONFIG, merged(CONFIG, QUICK)], ids=["paper", "quick"])
def test_training_ends_at_the_end_of_a_reset_cycle(config: dict) -> None:
    assert config["training"]["epochs"] % config["defenses"]["proposed"]["training"]["reset_epochs"] == 0


def properties(schema: Any, path: str = "") -> list[tuple[str, dict]]:
    """Every described key of the schema, by path, wherever it is nested."""
    if isinstance(schema, list):
        return [found for item in schema for found in properties(item, path)]
    if not isinstance(schema, dict):
        return []
    own = [(f"{path}/{key}", value) for key, value in schema.get("properties", {}).items()]
    below = [found for key, value in own for found in properties(value, key)]
    for key in ("additionalProperties", "allOf", "then", "$defs"):
        below += properties(schema.get(key), path)
    return own + below


def test_every_key_of_the_schema_says_what_it_is() -> None:
    for path, value in properties(SCHEMA):
        is_shared = set(value) <= {"$ref"} or path.endswith("/method") or "sha256/" in path
        assert is_shared or "description" in value or "properties" in value, path


def test_the_schema_has_no_key_that_the_configuration_does_not_use() -> None:
    def leaves(config: Any) -> set[str]:
        if not isinstance(config, dict):
            return set()
        return set(config) | {name for value in config.values() for name in leaves(value)}

    used = leaves(CONFIG)
    for path, _ in properties(SCHEMA):
        assert path.rpartition("/")[2] in used, path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training": {"epoch": 3}}, "'epoch' was unexpected"),
        ({"training": {"epochs": 0}}, "0 is less than the minimum of 1"),
        ({"training": {"batch_size": 32.5}}, "32.5 is not of type 'integer'"),
        ({"datasets": {"mnist": {"epsilon": 0}}}, "0 is less than or equal to the minimum of 0"),
        ({"datasets": {"mnist": {"epsilon": 76.5}}}, "76.5 is greater than the maximum of 1"),
        ({"datasets": {"cifar10": {"title": "CIFAR-10"}}}, "'epsilon' is a required property"),
        ({"defenses": {"proposed": {"training": {"reset_epoch": 5}}}}, "'reset_epoch' was unexpected"),
        ({"defenses": {"bim10_adv": {"training": {"iterations": 0}}}}, "0 is less than the minimum of 1"),
        ({"defenses": {"proposed": {"training": {"step_divisor": -1}}}}, "-1 is less than the minimum of 1e-06"),
        ({"defenses": {"fgsm_adv": {"training": {"labels": True}}}}, "True is not one of ['ground_truth', 'predicted']"),
        ({"training": {"seeds": [2**64]}}, "18446744073709551616 is greater than the maximum"),
        ({"strong": {"pgd": {"restarts": 1}}}, "1 is less than the minimum of 2"),
        ({"strong": {"pgd": {"step_size": 0.01}}}, "'step_size' was unexpected"),
        ({"variants": {"choices": [{"name": "step5_reset5", "title": "T"}]}}, "should not be valid under"),
        ({"variants": {"choices": [{"name": "a__b", "title": "T"}]}}, "'a__b' does not match"),
        ({"audit": {"square_queries": 0}}, "0 is less than the minimum of 1"),
        ({"device": "tpu"}, "'tpu' is not one of ['auto', 'cuda', 'mps', 'cpu']"),
    ],
)
def test_a_wrong_key_or_value_is_named(changes: dict, named: str) -> None:
    with pytest.raises(jsonschema.ValidationError) as error:
        jsonschema.validate(merged(CONFIG, changes), SCHEMA)
    messages = [error.value.message, *(str(context.message) for context in error.value.context or [])]
    assert any(named in message for message in messages), messages


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"training": {"epochs": 80.0}}, "training.epochs: 80.0 is not of type 'integer'"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate: nan is not of type 'number'"),
        ({"strong": {"pgd": {"step_factor": float("inf")}}}, "strong.pgd.step_factor: inf is not of type 'number'"),
        ({"subset_seed": 2**64}, "subset_seed: the number is too large"),
        ({"audit": {"noise_draws": 16**6000}}, "audit.noise_draws: the number is too large"),
        ({"audit": {1: 2}}, "audit: a key is no text"),
        ({"local_folder": date(2019, 6, 1)}, "local_folder: it has a value of the type date"),
        (
            {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 30}}]}},
            "variants.choices, a: training.epochs: 30 ends within a cycle of defenses.proposed (20 epochs)",
        ),
        (
            {"variants": {"choices": [{"name": "a", "title": "A"}, {"name": "a", "title": "B"}]}},
            "variants.choices: two have the name 'a'",
        ),
        ({"datasets": {"mnist": {"title": "Training time"}}}, "datasets.mnist.title: Table I has a part of its own that is"),
        (
            {"pathvars": {"results": "results/../../elsewhere"}},
            "pathvars.results: 'results/../../elsewhere' will not do: Folder of all results",
        ),
        ({"pathvars": {"results": "/elsewhere"}}, "pathvars.results: '/elsewhere' will not do: Folder of all results"),
        ({"datasets": {"mnist\n": CONFIG["datasets"]["mnist"]}}, r"datasets: 'mnist\n' does not match"),
        ({"defenses": {"atda": {"title": "A\nB"}}}, r"defenses.atda.title: 'A\nB' will not do: One line of at most"),
        ({"defenses": {"mine": {**CONFIG["defenses"]["vanilla"], "training": {"method": "mine", "reset_epochs": "2"}}}}, ""),
    ],
)
def test_what_no_script_would_take_is_told_in_one_line(changes: dict, line: str) -> None:
    (found,) = load_checks().wrong(merged(CONFIG, changes))
    assert found.startswith(line)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 12}},
        {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 30}, "defenses": ["atda", "fgsm_adv"]}]}},
        {"variants": {"defenses": ["atda"], "choices": [{"name": "a", "title": "A", "training": {"epochs": 30}}]}},
        {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 5}}]}},
    ],
    ids=["before the first reset", "a choice for others", "others alone", "a choice before the first reset"],
)
def test_a_training_without_resets_or_before_the_first_may_have_any_number_of_epochs(changes: dict) -> None:
    assert load_checks().wrong(merged(CONFIG, changes)) == []


def test_a_value_that_contains_itself_is_told() -> None:
    endless: dict[str, Any] = {}
    endless["mnist"] = endless
    wide = [["a"] * 1000] * 1000
    for section, value in (("datasets", endless), ("local_folder", wide)):
        (line,) = load_checks().wrong({**CONFIG, section: value})
        assert "the configuration is nested too deeply, or too large" in line


def test_snakemake_stops_at_a_wrong_configuration_before_any_job(workspace: Workspace) -> None:
    workspace.configure(training={"epoch": 3})
    result = workspace.snakemake("--cores", "1", "--", "all")
    assert result.returncode != 0
    lines = result.stderr.partition("The configuration is wrong.\n")[2].splitlines()
    assert lines[0] == "training: Additional properties are not allowed ('epoch' was unexpected)"
    assert "Traceback" not in result.stderr
    assert not (workspace.folder / "results").exists()


def test_keys_that_are_wrong_together_are_named_each_in_a_line(workspace: Workspace) -> None:
    workspace.configure(
        timing={"dataset": "cifar10"},
        evaluation={"sweep_iterations": [1, 10]},
        strong={"examples": 49},
        autoattack={"apgd_examples": 49, "fab_square_examples": 50},
        datasets={"fmnist": {"title": "MNIST"}},
        training={"epochs": 7},
        defenses={"atda": {"training": {"method": "adta"}}},
    )
    result = workspace.snakemake("--cores", "1", "--", "all")
    assert result.returncode != 0
    lines = result.stderr.partition("The configuration is wrong.\n")[2].splitlines()
    assert lines[:8] == [
        "timing.dataset: 'cifar10' is not one of the datasets",
        "evaluation.sweep_iterations: 30 is missing, which Table I needs",
        "strong.examples: 49 are more than evaluation.examples (48)",
        "autoattack.apgd_examples: 49 are more than evaluation.examples (48)",
        "autoattack.fab_square_examples: 50 are more than apgd_examples (49)",
        "datasets: two have the title 'MNIST'",
        "defenses.atda.training.method: there is no src/advtrain/defenses/adta.py",
        "training.epochs: 7 ends within a cycle of defenses.proposed (3 epochs), where robustness is low",
    ]


@pytest.mark.parametrize("target", ["results/tiny/cifar10/proposed.parquet", "results/tiny/mnist/magic.parquet"])
def test_an_unknown_data_set_or_defense_is_named(workspace: Workspace, target: str) -> None:
    result = workspace.snakemake("--cores", "1", "--", target)
    assert result.returncode != 0
    assert target in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def letters(workspace: Workspace) -> Workspace:
    """A workspace with a data set of the user's own, which no network source offers."""
    write_synthetic_dataset(workspace.folder / "local" / "letters", seed=9)
    hashes = {name: sha256(workspace.folder / "local" / "letters" / name) for name in IDX_FILES}
    workspace.configure(datasets={"letters": {"title": "Letters", "epsilon": 0.1, "sha256": hashes}})
    return workspace


def test_a_data_set_is_added_by_its_files_and_an_entry(letters: Workspace) -> None:
    assert ("collect", "letters/proposed") in letters.dry_run("--", "all")
    result = letters.snakemake("--cores", "1", "--", "data/letters/t10k-labels-idx1-ubyte")
    assert result.returncode == 0, result.stderr
    assert load_examples(*(letters.folder / "data" / "letters" / name for name in IDX_FILES[:2]))


def test_a_file_of_another_hash_is_named_and_not_kept(letters: Workspace) -> None:
    file = letters.folder / "local" / "letters" / "train-labels-idx1-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    result = letters.snakemake("--cores", "1", "--retries", "0", "--", "data/letters/train-labels-idx1-ubyte")
    assert result.returncode != 0
    assert "local folder: train-labels-idx1-ubyte has sha256" in result.stderr
    assert not (letters.folder / "data" / "letters" / "train-labels-idx1-ubyte").exists()
