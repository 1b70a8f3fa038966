"""A wrong configuration stops here, with one line for each key or value that is wrong, before any job."""

import contextlib
import copy
import difflib
import json
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# This workflow's own folder, wherever Snakemake was started and whichever workflow imports this one.
ROOT = Path(workflow.snakefile).parents[1]
sys.path.insert(0, str(ROOT / "src"))  # before an installed advtrain, which may be another version

from advtrain.data.idx import IDX_FILES
from advtrain.defenses import methods
from advtrain.results.code import METHODS, own_file, settings_of

PAPER_SCALE = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SCHEMA = yaml.safe_load((ROOT / "config/config.schema.yaml").read_text())

TYPE_WORDS = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a section with keys",
}
VALIDATOR = Draft202012Validator(SCHEMA)


def complete(config):
    """Give a configuration the keys of config/config.yaml that it does not override."""
    whole = copy.deepcopy(PAPER_SCALE)
    update_config(whole, config)
    update_config(config, whole)


def read_text_values(config):
    """Read values that are text where the schema wants another type: `--config key=value` gives no other."""
    for error in list(VALIDATOR.iter_errors(config)):
        if error.validator == "type" and isinstance(error.instance, str):
            section = config
            for key in list(error.absolute_path)[:-1]:
                section = section[key]
            with contextlib.suppress(yaml.YAMLError):
                section[error.absolute_path[-1]] = yaml.safe_load(error.instance)


def nearest(name, names):
    """The names to choose from, the nearest one first if there is a near one."""
    near = difflib.get_close_matches(str(name), names, n=1)
    return "did you mean {}?".format(near[0]) if near else "there are {}".format(", ".join(names) or "none")


def as_written(value):
    """A value as the configuration has it, on one line: YAML's null, true and false are not Python's."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def described(error):
    """What is wrong by an error of the schema, on one line."""
    if error.validator in ("additionalProperties", "unevaluatedProperties") and error.validator_value is False:
        # Only `training` has keys that its part of the schema does not list itself.
        known = PAPER_SCALE["training"] if error.validator == "unevaluatedProperties" else error.schema["properties"]
        return "; ".join(
            "{} is not a key here, {}".format(key, nearest(key, list(known))) for key in error.instance if key not in known
        )
    path = list(error.absolute_path)
    if error.instance is None and len(path) == 2 and path[0] in ("datasets", "defenses"):
        return "null takes nothing away; without: {{{}: [{}]}} does".format(*path)
    if error.validator == "type":
        wanted = TYPE_WORDS.get(error.validator_value, error.validator_value)
        return "{} has to be {}".format(as_written(error.instance), wanted)
    if error.validator == "pattern" and "description" in error.schema:
        return "{!r} is not accepted: {}".format(error.instance, error.schema["description"])
    return " ".join(error.message.replace(repr(error.instance), as_written(error.instance), 1).split())


def cross_key_errors(config):
    """What no schema can say: keys that are right alone and wrong together."""
    left = {}
    for section in ("datasets", "defenses"):
        names = list(config[section])
        for choice in ("only", "without"):
            for name in config[choice].get(section, []):
                if name not in names:
                    yield "{}.{}: {!r} is not configured; {}".format(choice, section, name, nearest(name, names))
        left[section] = set(config["only"].get(section, names)) - set(config["without"].get(section, []))
        if not left[section]:
            yield "only and without: no {} are left".format(section)
        titles = [entry["title"] for entry in config[section].values()]
        for title in sorted({title for title in titles if titles.count(title) > 1}):
            yield "{}: two have the title {!r}".format(section, title)
    for name, dataset in config["datasets"].items():
        own = [key for key in ("folder", "npz", "torchvision") if key in dataset]
        if len(own) > 1:
            yield "datasets.{}: it has {} sources, {}; it needs one".format(name, len(own), " and ".join(own))
        if not (own or "sha256" in dataset):
            yield "datasets.{}: it needs sha256, or one of folder, npz and torchvision".format(name)
    if config["timing"]["dataset"] not in config["datasets"]:
        yield "timing.dataset: {!r} is not one of the datasets".format(config["timing"]["dataset"])
    for iterations in (10, 30):
        if iterations not in config["evaluation"]["sweep_iterations"]:
            yield "evaluation.sweep_iterations: {} is missing, which Table I needs".format(iterations)
    for section, key in (("pgd", "examples"), ("autoattack", "apgd_examples")):
        if config[section][key] > config["evaluation"]["examples"]:
            yield "{}.{}: {} are more than evaluation.examples ({})".format(
                section, key, config[section][key], config["evaluation"]["examples"]
            )
    apgd, fab_square = (config["autoattack"][key] for key in ("apgd_examples", "fab_square_examples"))
    if fab_square > apgd:
        yield "autoattack.fab_square_examples: {} are more than apgd_examples ({})".format(fab_square, apgd)
    choices = config["variants"]["choices"]
    for key in ("name", "title"):
        given = [choice[key] for choice in choices]
        for value in sorted({value for value in given if given.count(value) > 1}):
            yield "variants.choices: two have the {} {!r}".format(key, value)
    for name, defense in config["defenses"].items():
        if ("training" in defense) == ("external" in defense):
            yield "defenses.{}: it needs either `training` or `external`".format(name)
        for dataset in defense.get("external", {}).get("datasets", []):
            if dataset not in config["datasets"]:
                yield "defenses.{}.external.datasets: {!r} is not configured; {}".format(
                    name, dataset, nearest(dataset, list(config["datasets"]))
                )
    datasets, defenses = (left[section] & config[section].keys() for section in ("datasets", "defenses"))
    of_each = [set(config["defenses"][name].get("external", {}).get("datasets", datasets)) for name in defenses]
    if datasets and defenses and datasets.isdisjoint(set().union(*of_each)):
        yield "only and without: none of {} is for {}".format(", ".join(sorted(defenses)), ", ".join(sorted(datasets)))
    shown = {
        "budgets.defenses": config["budgets"]["defenses"],
        "ladder": [rung["defense"] for rung in config["ladder"]],
        "successors": [name for setting in config["successors"] for name in setting["defenses"]],
    }
    for section, names in shown.items():
        for name in names:
            if name not in config["defenses"]:
                yield "{}: {!r} is not configured; {}".format(section, name, nearest(name, list(config["defenses"])))
    for number, rung in enumerate(config["ladder"]):
        earlier = shown["ladder"][:number]
        if "base" in rung and rung["base"] not in earlier:
            yield "ladder, {}: base {!r} is not of an earlier rung; {}".format(
                rung["defense"], rung["base"], nearest(rung["base"], earlier)
            )
    recipes = {name: defense["training"] for name, defense in config["defenses"].items() if "training" in defense}
    errors = [line for name, own in recipes.items() for line in recipe_errors(config, "defenses.{}.training".format(name), own)]
    yield from errors or (line for choice in choices for line in choice_errors(config, choice))
    for name, own in recipes.items():
        yield from cycle_error(config, "defenses.{}.training".format(name), own)
        for choice in choices:
            tried = name in choice.get("defenses", config["variants"]["defenses"])
            if tried and choice["training"].keys() & {"epochs", "reset_epochs"}:
                yield from cycle_error(
                    config, "variants.choices, {}: {}".format(choice["name"], name), own | choice["training"]
                )
        for budget in config["budgets"]["passes"] if name in config["budgets"]["defenses"] else []:
            yield from cycle_error(
                config, "budgets.passes, {}: {}".format(budget, name), own | within_budget(config, name, budget)
            )
    yield from missing_files(config, datasets, defenses)


def missing_files(config, datasets, defenses):
    """A line for each file or folder of the user's own that is not there, of these data sets and defenses."""
    named = {"network": own_file(config["network"])}
    for name in sorted(datasets):
        named["datasets.{}.npz".format(name)] = config["datasets"][name].get("npz")
        if place := config["datasets"][name].get("folder"):
            folder = Path(place).expanduser().absolute()
            forms = {file: (folder / file, folder / "{}.gz".format(file)) for file in IDX_FILES}
            if lacking := [file for file in forms if not any(form.is_file() for form in forms[file])]:
                yield "datasets.{}.folder: {} has no {}, as it is or with .gz".format(name, folder, ", no ".join(lacking))
    for name in sorted(defenses):
        for kind in ("training", "external"):
            own = config["defenses"][name].get(kind, {})
            named["defenses.{}.{}.weights".format(name, kind)] = own.get("weights")
            named["defenses.{}.{}.network".format(name, kind)] = own_file(own.get("network", ""))
    for choice in config["variants"]["choices"]:
        named["variants.choices, {}: network".format(choice["name"])] = own_file(choice["training"].get("network", ""))
    for key, path in named.items():
        if path and not Path(path).expanduser().is_file():
            yield "{}: there is no file {}".format(key, Path(path).expanduser().absolute())


def recipe_errors(config, at, recipe):
    """A line for each key of a defense's `training` that neither `training` nor its method has, and for each missing one."""
    method = recipe["method"]
    if method not in methods():
        yield "{}.method: there is no src/{}/{}.py; {}".format(at, METHODS, method, nearest(method, methods()))
        return
    own, common = settings_of(method), common_settings(config).keys()
    for key in sorted(recipe.keys() - own - common - {"method"}):
        yield "{}.{}: {} has no such setting; {}".format(at, key, method, nearest(key, sorted(own | common)))
    for key in sorted(own - recipe.keys() - common):
        yield "{}.{} is missing, a setting of {}".format(at, key, method)


def choice_errors(config, choice):
    """A line for each key of a choice of `variants` that none of its defenses has."""
    tried = choice.get("defenses", config["variants"]["defenses"])
    trained = {name: defense["training"] for name, defense in config["defenses"].items() if "training" in defense}
    of_tried = {trained[name]["method"] for name in tried if name in trained}
    known = set(common_settings(config)).union(*map(settings_of, of_tried))
    for key in sorted(choice["training"].keys() - known):
        yield "variants.choices, {}: no defense has the setting {}; {}".format(choice["name"], key, nearest(key, sorted(known)))


def common_settings(config):
    """What all defenses share in training; the `training` of a defense may override any of it."""
    training = {key: value for key, value in config["training"].items() if key != "checkpoint_epochs"}
    return {"network": config["network"], **training}


def within_budget(config, defense, budget):
    """What a defense's `training` has otherwise for a budget, in passes over a training image.

    Epochs are whole. Periods of resets, in whole epochs, and the schedule are stretched or shrunk as the training is.
    """
    recipe = config["training"] | config["defenses"][defense]["training"]
    epochs = max(1, round(budget / config["budgets"]["defenses"][defense]))
    scale = epochs / recipe["epochs"]
    periods = {key: max(1, round(scale * recipe[key])) for key in ("reset_epochs", "redraw_epochs") if key in recipe}
    return {"epochs": epochs, "schedule": [[scale * at, factor] for at, factor in recipe["schedule"]], **periods}


def cycle_error(config, at, recipe):
    """A line if a training would end within a cycle of resets, where robustness is low."""
    epochs, reset = recipe.get("epochs", config["training"]["epochs"]), recipe.get("reset_epochs")
    if reset and epochs > reset and epochs % reset:
        yield "{}: {} epochs end within a cycle of resets ({} epochs), where robustness is low".format(at, epochs, reset)


def wrong(config):
    """A line for each key or value that is wrong; the later checks rely on what the earlier ones hold."""
    lines = [
        "{}: {}".format(".".join(map(str, error.absolute_path)) or "top level", words)
        for error in VALIDATOR.iter_errors(config)
        if (words := described(error))
    ]
    return list(dict.fromkeys(lines or cross_key_errors(config)))  # two parts of the schema may say the same


complete(config)
read_text_values(config)
WRONG = wrong(config)
if WRONG:
    raise WorkflowError("The configuration is wrong.", *WRONG)
