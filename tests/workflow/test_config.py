"""The configurations, their schema, what they choose, and what a wrong one is told."""

import copy
import json
import os
import platform
from functools import reduce
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.exceptions import WorkflowError

from advtrain.data.examples import Examples
from advtrain.data.idx import IDX_FILES, sha256
from advtrain.training.passes import passes_per_image
from synthetic import write_synthetic_dataset
from trainings import plan
from workspace import CONFIG, REPOSITORY, Workspace, load_rules, merged

SCHEMA = yaml.safe_load((REPOSITORY / "config" / "config.schema.yaml").read_text())
SHIPPED = {file.stem: yaml.safe_load(file.read_text()) for file in sorted((REPOSITORY / "config").glob("*.yaml"))}
CHECKS = load_rules(copy.deepcopy(CONFIG))


def wrong(config: Any) -> list[str]:
    """What rules/validate.smk says of a configuration."""
    CHECKS.read_text_values(config)
    return CHECKS.wrong(config)


def changed(changes: dict) -> dict:
    return copy.deepcopy(merged(CONFIG, changes))


def rules(changes: dict) -> Any:
    """What rules/common.smk makes of the paper's configuration with some changes."""
    return load_rules(changed(changes), "common.smk")


@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - {"config.schema"}))
def test_a_shipped_configuration_is_right(name: str) -> None:
    under = [SHIPPED[first] for first in ("successors", "cifar10") if name.startswith(f"{first}_")]  # it comes after that
    assert wrong(changed(reduce(merged, [*under, SHIPPED[name]]))) == []


def test_the_paper_s_scale_is_the_paper_s() -> None:
    training, evaluation = CONFIG["training"], CONFIG["evaluation"]
    assert [training[key] for key in ("examples", "epochs", "batch_size", "seeds")] == [60_000, 80, 64, [0, 1, 2, 3, 4]]
    assert evaluation["examples"] == 10_000
    assert evaluation["sweep_iterations"] == [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30]
    assert {name: dataset["epsilon"] for name, dataset in CONFIG["datasets"].items()} == {"mnist": 0.3, "fmnist": 0.2}
    proposed = CONFIG["defenses"]["proposed"]["training"]
    assert (proposed["step_divisor"], proposed["reset_epochs"]) == (10, 20)


def properties(schema: Any, path: str = "") -> list[tuple[str, dict]]:
    """Every key of the schema with what is said of it, by path, wherever it is nested."""
    if isinstance(schema, list):
        return [found for item in schema for found in properties(item, path)]
    if not isinstance(schema, dict):
        return []
    own = [(f"{path}/{key}", value) for key, value in schema.get("properties", {}).items()]
    below = [found for key, value in own for found in properties(value, key)]
    for key in ("additionalProperties", "allOf", "items", "$defs"):
        below += properties(schema.get(key), path)
    for value in schema.get("$defs", {}).values():
        below += properties(value, path)
    return own + below


def test_the_schema_describes_every_key_and_has_none_that_nothing_uses() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    used = set(json.dumps([CONFIG, *SHIPPED.values()]).replace('"', " ").replace(":", " ").split())
    for path, value in properties(SCHEMA):
        is_shared = set(value) <= {"$ref"} or "sha256" in path or path.strip("/") in ("datasets", "defenses")
        assert is_shared or "description" in value or "properties" in value, path
        assert path.rpartition("/")[2] in used, path


THEIRS = {"weights": __file__, "network": "small_cnn", "datasets": ["mnist"]}


def external(**changes: Any) -> dict:
    """A classifier from elsewhere beside the others."""
    return {"defenses": {"theirs": {"title": "Theirs", "family": "none", "external": THEIRS | changes}}}


def own_data(**source: str) -> dict:
    """A data set of the user's own beside the others."""
    return {"datasets": {"own": {"title": "Own", "epsilon": 0.1, **source}}}


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"training": {"epoch": 3}}, "training", "epochs"),
        ({"trainings": {}}, "top level", "training"),
        ({"training": {"epochs": 0}}, "training.epochs", "0"),
        ({"training": {"epochs": "many"}}, "training.epochs", "many"),
        ({"training": {"seeds": [2**64]}}, "training.seeds.0", str(2**64)),
        ({"datasets": {"mnist": {"epsilon": 76.5}}}, "datasets.mnist.epsilon", "76.5"),
        ({"datasets": {"cifar10": {**CONFIG["datasets"]["mnist"], "epsilon": None}}}, "datasets.cifar10.epsilon", ""),
        ({"datasets": {"fmnist": None}}, "datasets.fmnist", "without: {datasets: [fmnist]}"),
        ({"defenses": {"atda": None}}, "defenses.atda", "without: {defenses: [atda]}"),
        ({"datasets": {"mnist\n": CONFIG["datasets"]["mnist"]}}, "datasets", r"mnist\n"),
        ({"defenses": {"atda": {"title": "A\nB"}}}, "defenses.atda.title", r"A\nB"),
        ({"defenses": {"atda": {"title": "Proposed"}}}, "defenses", "Proposed"),
        ({"defenses": {"atda": {"training": {"method": "atd"}}}}, "defenses.atda.training.method", "atda"),
        ({"defenses": {"proposed": {"training": {"reset_epoch": 5}}}}, "defenses.proposed.training", "reset_epochs"),
        ({"defenses": {"proposed": {"training": {"learning_rat": 1}}}}, "defenses.proposed.training", "learning_rate"),
        ({"defenses": {"proposed": {"training": {"batch_size": 0}}}}, "defenses.proposed.training.batch_size", "0"),
        ({"defenses": {"proposed": {"training": {"step_divisor": -1}}}}, "defenses.proposed.training.step_divisor", "-1"),
        ({"defenses": {"proposed": {"training": {"network": "cnn"}}}}, "defenses.proposed.training.network", "madry_cnn"),
        ({"defenses": {"fgsm_adv": {"training": {"iterations": 5}}}}, "defenses.fgsm_adv.training.iterations", "fgsm_adv"),
        (
            {"defenses": {"mine": {"title": "Mine", "family": "none", "training": {"method": "bim_adv"}}}},
            "defenses.mine.training.iterations",
            "missing",
        ),
        ({"defenses": {"proposed": {"training": {"epochs": 30}}}}, "defenses.proposed.training", "30"),
        ({"pgd": {"restarts": 1}}, "pgd.restarts", "2"),
        ({"pgd": {"step_size": 0.01}}, "pgd", "step_factor"),
        ({"pgd": {"step_factor": 2.5}}, "pgd.step_factor", "2.5"),
        ({"pgd": {"examples": 10_001}}, "pgd.examples", "10001"),
        ({"autoattack": {"apgd_examples": 10_001}}, "autoattack.apgd_examples", "10001"),
        ({"autoattack": {"apgd_examples": 999}}, "autoattack.fab_square_examples", "999"),
        ({"evaluation": {"sweep_iterations": [1, 10]}}, "evaluation.sweep_iterations", "30"),
        ({"timing": {"dataset": "cifar10"}}, "timing.dataset", "cifar10"),
        ({"device": "tpu"}, "device", "cuda"),
        ({"cuda_graph": 1}, "cuda_graph", "true"),
        ({"only": {"defenses": ["propose"]}}, "only.defenses", "proposed"),
        ({"without": {"datasets": ["fashion"]}}, "without.datasets", "fmnist"),
        ({"without": {"datasets": ["mnist", "fmnist"]}}, "only and without", "datasets"),
        ({"pathvars": {"results": "results/../../elsewhere"}}, "pathvars.results", "results/../../elsewhere"),
        ({"pathvars": {"results": "/elsewhere"}}, "pathvars.results", "/elsewhere"),
        (
            {"variants": {"choices": [{"name": "step5_reset5", "title": "T", "training": {}}]}},
            "variants.choices.0.name",
            "step5",
        ),
        (
            {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 30}}]}},
            "variants.choices, a: proposed",
            "30",
        ),
        ({"budgets": {"passes": [1], "defenses": {"propose": 3}}}, "budgets.defenses", "proposed"),
        ({"ladder": [{"defense": "propose", "change": "Nothing"}]}, "ladder", "proposed"),
        (
            {"ladder": [{"defense": "proposed", "change": "A"}, {"defense": "atda", "change": "B", "base": "propose"}]},
            "ladder, atda",
            "did you mean proposed",
        ),
        ({"ladder": [{"defense": "proposed", "change": "A", "base": "proposed"}]}, "ladder, proposed", "there are none"),
        ({"successors": [{"title": "Some", "defenses": ["propose"]}]}, "successors", "proposed"),
        ({"budgets": {"passes": [51], "defenses": {"proposed": 3}}}, "budgets.passes, 51: proposed", "17"),
        ({"defenses": {"atda": {"external": THEIRS}}}, "defenses.atda", "either `training` or `external`"),
        ({"defenses": {"theirs": {"title": "Theirs", "family": "none"}}}, "defenses.theirs", "either `training` or `external`"),
        (external(datasets=["mnits"]), "defenses.theirs.external.datasets", "'mnits' is not configured; did you mean mnist?"),
        (external(weights="t.pth"), "defenses.theirs.external.weights", f"there is no file {Path.cwd() / 't.pth'}"),
        (external(network="nets.py:net"), "defenses.theirs.external.network", f"there is no file {Path.cwd() / 'nets.py'}"),
        (merged(external(), {"only": {"datasets": ["fmnist"], "defenses": ["theirs"]}}), "only and without", "fmnist"),
        (external(std=[0]), "defenses.theirs.external.std.0", "0"),
        (external(network="nets.py"), "defenses.theirs.external.network", "file.py:function"),
        ({"network": "small_cn"}, "network", "small_cnn"),
        ({"network": "nets.py:net"}, "network", f"there is no file {Path.cwd() / 'nets.py'}"),
        ({"defenses": {"atda": {"training": {"network": "n.py:net"}}}}, "defenses.atda.training.network", "there is no file"),
        (
            {"variants": {"choices": [{"name": "a", "title": "A", "training": {"network": "n.py:net"}}]}},
            "variants.choices, a: network",
            "there is no file",
        ),
        ({"datasets": None}, "datasets", "null has to be a section with keys"),
        ({"device": True}, "device", "true is not one of"),
        ({"training": 3}, "training", "3 has to be a section with keys"),
        (own_data(), "datasets.own", "one of folder, npz and torchvision"),
        (
            own_data(npz=__file__, torchvision="KMNIST"),
            "datasets.own",
            "2 sources, npz and torchvision",
        ),
        (own_data(folder="own"), "datasets.own.folder", f"{Path.cwd() / 'own'} has no {', no '.join(IDX_FILES)}"),
        (own_data(npz="own.npz"), "datasets.own.npz", f"there is no file {Path.cwd() / 'own.npz'}"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_with_the_key_and_the_value_or_the_nearest_name(
    changes: dict, key: str, said: str
) -> None:
    (line,) = wrong(changed(changes))
    assert line.startswith(key)
    assert said in line.removeprefix(key)


def test_a_folder_needs_all_files_of_a_data_set_in_either_form_and_what_does_not_run_is_not_looked_for(tmp_path: Path) -> None:
    for name in (IDX_FILES[0], f"{IDX_FILES[1]}.gz", IDX_FILES[2]):
        (tmp_path / name).touch()
    own = own_data(folder=str(tmp_path))
    assert wrong(changed(own)) == [f"datasets.own.folder: {tmp_path} has no {IDX_FILES[3]}, as it is or with .gz"]
    assert wrong(changed({**own, "without": {"datasets": ["own"]}})) == []
    assert wrong(changed(merged(external(weights="t.pth"), {"without": {"defenses": ["theirs"]}}))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 12}},
        {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 30}, "defenses": ["atda"]}]}},
        {"variants": {"choices": [{"name": "a", "title": "A", "training": {"epochs": 5}}]}},
    ],
    ids=["before the first reset", "a choice for a defense without resets", "a choice before the first reset"],
)
def test_a_training_without_resets_or_before_the_first_may_have_any_number_of_epochs(changes: dict) -> None:
    assert wrong(changed(changes)) == []


KEYS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=9) | st.integers() | st.dates()
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.text(max_size=20)
    | st.sampled_from(
        ["mnist", "proposed", "small_cnn", "true", "1e400", "{a: 1}", "{", "../evil", "$(touch evil)", "x" * 999]
    ),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=6,
)
"""What YAML can say."""


@settings(max_examples=200)
@given(st.data())
def test_any_value_at_any_place_is_accepted_or_refused_in_lines_that_name_its_key(data: st.DataObject) -> None:
    config = copy.deepcopy(CONFIG)
    container: Any = config
    key = data.draw(st.sampled_from(sorted(config)))
    place = [key]
    while isinstance(container[key], dict | list) and len(container[key]) and data.draw(st.booleans()):
        container = container[key]
        key = data.draw(st.sampled_from(sorted(container) if isinstance(container, dict) else range(len(container))))
        place.append(key)
    value = data.draw(ANY)
    old = container[key]
    container[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    lines = wrong(config)
    for line in lines:
        assert line.isprintable(), repr(line)
        assert any(str(part) in line for part in place), line
    if not lines:
        assert json.loads(json.dumps(config, allow_nan=False)) == config
        load_rules(config, "common.smk")


def test_snakemake_stops_at_a_wrong_configuration_before_any_job_with_a_line_for_each_thing(workspace: Workspace) -> None:
    workspace.configure(timing={"dataset": "cifar10"}, pgd={"examples": 49}, only={"defenses": ["propose"]})
    result = workspace.snakemake("--cores", "1", "--", "all")
    assert result.returncode != 0
    lines = result.stderr.partition("The configuration is wrong.\n")[2].splitlines()
    assert {line.partition(":")[0] for line in lines[:3]} == {"timing.dataset", "pgd.examples", "only.defenses"}
    assert "Traceback" not in result.stderr
    assert not (workspace.folder / "results").exists()


def test_only_and_without_choose_data_sets_and_defenses_in_the_order_of_the_paper() -> None:
    chosen = rules(
        {"only": {"defenses": ["bim10_adv", "vanilla", "atda"]}, "without": {"defenses": ["atda"], "datasets": ["mnist"]}}
    )
    assert chosen.DATASETS == ["fmnist"]
    assert chosen.DEFENSES == ["vanilla", "bim10_adv"]
    assert chosen.TIMED == "fmnist", "the data set that is timed elsewhere does not run"


def test_a_classifier_from_elsewhere_runs_on_its_data_sets_and_is_trained_on_none() -> None:
    found = rules(external())
    assert wrong(changed(external())) == []
    assert (found.classifiers_on("mnist")[-1], found.classifiers_on("fmnist")[-1]) == ("theirs", "bim30_adv")
    assert "theirs" not in {*found.CLASSIFIERS, *found.TRAINED, *found.VARIANTS}
    assert found.LABELS["defenses"]["theirs"] == "Theirs (external)"
    assert found.LABELS["external"] == {"theirs": ["mnist"]}
    elsewhere = rules({**external(), "only": {"datasets": ["fmnist"]}})
    assert "theirs" not in elsewhere.DEFENSES


def test_without_one_the_labels_are_what_they_were() -> None:
    """So that no table is made anew."""
    assert rules({}).LABELS.keys() == {"datasets", "defenses", "families", "scale", "departures"}


def test_the_labels_say_what_is_not_as_the_paper_has_it() -> None:
    assert rules({}).LABELS["departures"] == {"atda": "batch_size 32, labels predicted"}
    own = {"proposed": {"training": {"step_divisor": 2, "epochs": 40}}}
    made = rules({"training": {"labels": "predicted", "held_out_examples": 10000}, "defenses": own}).LABELS
    assert made["scale"] == "small_cnn, 50,000 images, 80 epochs, batch 64, 5 seeds, labels predicted"
    assert made["departures"] == {"atda": "batch_size 32", "proposed": "step_divisor 2, epochs 40"}


def test_a_recipe_overrides_what_all_share_and_nothing_else() -> None:
    own = {"batch_size": 16, "epochs": 20, "network": "madry_cnn", "labels": "predicted"}
    made = rules({"defenses": {"proposed": {"training": own}}})
    plan, common = made.plan("mnist", "proposed"), rules({}).plan("mnist", "proposed")
    assert {key for key in plan if plan[key] != common[key]} == {"batch_size", "epochs", "network", "defense"}
    assert plan["defense"] == {**common["defense"], "labels": "predicted"}
    assert made.plan("mnist", "atda") == rules({}).plan("mnist", "atda")


def test_a_step_and_period_that_a_training_ends_with_is_trained_and_one_of_those_that_it_never_reaches() -> None:
    changes = {"training": {"epochs": 60}, "ablation": {"step_divisors": [10, 1], "reset_epochs": [20, 40, 60, 120]}}
    assert rules(changes).ABLATED == {
        "proposed": (10, 20),
        "proposed__step10_reset60": (10, 60),
        "proposed__step1_reset20": (1, 20),
        "proposed__step1_reset60": (1, 60),
    }


def test_a_choice_is_tried_where_it_changes_something_and_on_its_own_defenses() -> None:
    choices = [
        {"name": "labels", "title": "Predicted", "training": {"labels": "predicted"}},
        {"name": "as_it_is", "title": "As it is", "training": {"epochs": 80}},
        {"name": "wide", "title": "Wide", "training": {"network": "madry_cnn"}, "defenses": ["atda"]},
    ]
    tried = rules({"variants": {"defenses": ["vanilla", "atda", "proposed", "unknown"], "choices": choices}}).VARIANTS
    made = {name for of_defense in tried.values() for name in of_defense}
    assert made == {"proposed__labels", "atda__wide"}, "vanilla has no attack, ATDA has predicted labels anyway"


def with_successors(changes: dict) -> Any:
    return rules(merged(SHIPPED["successors"], changes))


def test_a_budget_stretches_the_resets_and_the_schedule_with_the_epochs() -> None:
    schedule = [[0, 0], [20, 1], [80, 0.1]]
    own = {"mine": {"title": "Mine", "family": "none", "training": {"method": "vanilla", "schedule": schedule}}}
    budgets = {"passes": [60, 120, 240], "defenses": {"mine": 1, "vanilla": 1}}
    found = with_successors({"defenses": own, "budgets": budgets, "without": {"defenses": ["vanilla", "atda"]}})
    classifiers = found.CLASSIFIERS
    half = classifiers["proposed__budget120"]
    assert (half["epochs"], half["defense"]["reset_epochs"]) == (40, 10)
    assert {key for key in half if half[key] != classifiers["proposed"][key]} == {"epochs", "defense"}
    assert classifiers["fgsm_mep__budget60"]["defense"]["redraw_epochs"] == 12
    assert classifiers["atta__budget60"]["defense"]["reset_epochs"] == 20, "never, as in 80"
    assert classifiers["mine__budget240"]["epochs"] == 240
    assert classifiers["mine__budget60"]["schedule"] == [[0, 0], [15, 1], [60, 0.1]]
    assert classifiers["free_at__budget60"]["epochs"] == 8, "7.5 are rounded"
    whole = {"classifier": "proposed", "defense": "proposed", "budget": 240, "epochs": 80, "passes": 240}
    assert whole in found.BUDGETED, "as it is configured"
    assert "proposed__budget240" not in classifiers
    assert not {"vanilla", "atda"} & {one["defense"] for one in found.BUDGETED}, "they do not run"


def test_the_passes_of_the_budgets_are_those_that_are_counted(examples: Examples) -> None:
    found = with_successors({})
    told = SHIPPED["successors"]["budgets"]["defenses"]
    assert told == {
        name: passes_per_image(plan("", defense=found.CLASSIFIERS[name]["defense"], batch_size=4), examples) for name in told
    }


def place_nvidia_smi(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's tool, as a shell script, and every GPU visible."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{says}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.skipif(platform.system() != "Linux", reason="a Mac has its own GPU")
@pytest.mark.parametrize(
    ("device", "says", "gpus", "shared"),
    [
        ("auto", "echo 'GPU 0: NVIDIA H200'", 1, 0),
        ("auto", "echo 'No devices found'", 0, 0),
        ("auto", "exit 9", 0, 0),
        ("cuda", "exit 9", 1, 1),
        ("cpu", "echo 'GPU 0: NVIDIA H200'", 0, 0),
    ],
)
def test_jobs_ask_for_a_gpu_only_where_they_will_use_one(
    device: str, says: str, gpus: int, shared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's tool alone may be there without a GPU."""
    place_nvidia_smi(tmp_path, says, monkeypatch)
    asked = rules({"device": device})
    assert (gpus, shared) == (asked.GPUS, asked.SHARED_GPU)


@pytest.mark.skipif(platform.system() != "Linux", reason="a Mac has its own GPU")
@pytest.mark.parametrize(("visible", "gpus"), [("", 0), ("-1", 0), ("1", 1)])
def test_a_gpu_that_is_hidden_from_jobs_is_not_asked_for(
    visible: str, gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_nvidia_smi(tmp_path, "echo 'GPU 0: NVIDIA H200'", monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus == rules({"device": "auto"}).GPUS


@pytest.mark.skipif(platform.system() != "Linux", reason="a Mac has its own GPU")
def test_a_driver_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_nvidia_smi(tmp_path, "exec sleep 60", monkeypatch)
    asked = rules({"device": "cpu"})
    asked.gpu_here.__globals__["SECONDS_FOR_GPUS"] = 0.1
    with pytest.raises(WorkflowError, match="nvidia-smi does not answer; `device: cpu`"):
        asked.gpu_here()


def test_a_data_set_is_added_by_its_files_and_an_entry(workspace: Workspace) -> None:
    folder = workspace.folder / "local" / "letters"
    write_synthetic_dataset(folder, seed=9)
    entry = {"title": "Letters", "epsilon": 0.1, "sha256": {name: sha256(folder / name) for name in IDX_FILES}}
    workspace.configure(datasets={"letters": entry}, only={"datasets": ["letters"]})
    planned = workspace.planned("--", "all")
    assert ("collect", "letters/bim10_adv") in planned
    assert "data/letters/train-images" in planned["time_epochs", ""]
    workspace.make("--", "data/letters/t10k-labels-idx1-ubyte")
    assert sha256(workspace.folder / "data/letters/t10k-labels-idx1-ubyte") == entry["sha256"]["t10k-labels-idx1-ubyte"]
