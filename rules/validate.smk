"""A wrong configuration stops here, with one line for each key or value that is wrong, before any job."""

import math
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from snakemake.exceptions import WorkflowError

SCHEMA = yaml.safe_load(Path(workflow.basedir, "config/config.schema.yaml").read_text())

DEEPEST, MOST = 10, 10_000

# JSON Schema takes 1.0 for an integer, which the scripts' options do not, and what is no number at all for one.
TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda checker, value: type(value) is int,
        "number": lambda checker, value: type(value) is int or (type(value) is float and math.isfinite(value)),
    }
)
SchemaValidator = extend(Draft202012Validator, type_checker=TYPES)


def place(keys):
    """Where a value stands, on one line."""
    name = ".".join(map(str, keys)) or "top level"
    return name if name.isprintable() else repr(name)


def nested(value, keys=()):
    """The value and all that it has in it, each with its keys; what is deeper than `DEEPEST` is left out."""
    yield keys, value
    if len(keys) < DEEPEST:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from nested(item, (*keys, key if isinstance(key, str) or isinstance(value, list) else type(key).__name__))


def wrong_kind(config):
    """What the schema's validator could not even print: YAML has numbers of any length and values that contain themselves."""
    for number, (keys, value) in enumerate(nested(config)):
        if len(keys) == DEEPEST or number == MOST:
            yield "{}: the configuration is nested too deeply, or too large".format(place(keys[:3]))
            return
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            yield "{}: a key is no text".format(place(keys))
        if isinstance(value, int) and abs(value) >= 2**63:
            yield "{}: the number is too large".format(place(keys))
        elif not isinstance(value, (str, int, float, list, dict, type(None))):
            yield "{}: it has a value of the type {}".format(place(keys), type(value).__name__)


def words(error):
    """What an error of the schema says; of a pattern its description, which people can read."""
    if error.validator == "pattern" and "description" in error.schema:
        return "{!r} will not do: {}".format(error.instance, error.schema["description"])
    return error.message


def wrong_together(config):
    """What no schema says: keys that are right alone and wrong together."""
    if config["timing"]["dataset"] not in config["datasets"]:
        yield "timing.dataset: {!r} is not one of the datasets".format(config["timing"]["dataset"])
    for iterations in (10, 30):
        if iterations not in config["evaluation"]["sweep_iterations"]:
            yield "evaluation.sweep_iterations: {} is missing, which Table I needs".format(iterations)
    for section, key in (("strong", "examples"), ("autoattack", "apgd_examples")):
        if config[section][key] > config["evaluation"]["examples"]:
            yield "{}.{}: {} are more than evaluation.examples ({})".format(
                section, key, config[section][key], config["evaluation"]["examples"]
            )
    apgd, fab_square = (config["autoattack"][key] for key in ("apgd_examples", "fab_square_examples"))
    if fab_square > apgd:
        yield "autoattack.fab_square_examples: {} are more than apgd_examples ({})".format(fab_square, apgd)
    for section in ("datasets", "defenses"):
        titles = [entry["title"] for entry in config[section].values()]
        for title in sorted({title for title in titles if titles.count(title) > 1}):
            yield "{}: two have the title {!r}".format(section, title)
    for name, dataset in config["datasets"].items():
        if dataset["title"] == "Training time":
            yield "datasets.{}.title: Table I has a part of its own that is called 'Training time'".format(name)
    for name, defense in config["defenses"].items():
        method = defense["training"]["method"]
        if not Path(workflow.basedir, "src/advtrain/defenses", "{}.py".format(method)).is_file():
            yield "defenses.{}.training.method: there is no src/advtrain/defenses/{}.py".format(name, method)
    yield from broken_cycles(config)
    choices = config["variants"]["choices"]
    for key in ("name", "title"):
        given = [choice[key] for choice in choices]
        for value in sorted({value for value in given if given.count(value) > 1}):
            yield "variants.choices: two have the {} {!r}".format(key, value)


def broken_cycles(config):
    """A line for each training that would end within a cycle of resets, where robustness is low."""
    settings = {name: defense["training"] for name, defense in config["defenses"].items()}
    resets = {name: own["reset_epochs"] for name, own in settings.items() if "reset_epochs" in own}
    trainings = [("training.epochs", config["training"]["epochs"], name) for name in resets]
    trainings += [
        ("variants.choices, {}: training.epochs".format(choice["name"]), choice["training"]["epochs"], name)
        for choice in config["variants"]["choices"]
        for name in config["variants"]["defenses"]
        if name in resets and name in choice.get("defenses", [name]) and "epochs" in choice.get("training", {})
    ]
    for key, epochs, name in trainings:
        reset = resets[name]
        if epochs > reset and epochs % reset:
            yield "{}: {} ends within a cycle of defenses.{} ({} epochs), where robustness is low".format(
                key, epochs, name, reset
            )


def wrong(config):
    """A line for each key or value that is wrong; the later checks can rely on what the earlier ones hold."""
    lines = list(wrong_kind(config)) or [
        "{}: {}".format(place(error.absolute_path), words(error)) for error in SchemaValidator(SCHEMA).iter_errors(config)
    ]
    return lines or list(wrong_together(config))


WRONG = wrong(config)
if WRONG:
    raise WorkflowError("The configuration is wrong.", *WRONG)
