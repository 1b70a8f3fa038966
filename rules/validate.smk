"""A wrong configuration stops here, with one line for each key or value that is wrong, before any job."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from snakemake.exceptions import WorkflowError

SCHEMA = yaml.safe_load(Path(workflow.basedir, "config/config.schema.yaml").read_text())


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
    epochs = config["training"]["epochs"]
    for name, defense in config["defenses"].items():
        method, reset_epochs = defense["training"]["method"], defense["training"].get("reset_epochs", epochs)
        if not Path(workflow.basedir, "src/advtrain/defenses", "{}.py".format(method)).is_file():
            yield "defenses.{}.training.method: there is no src/advtrain/defenses/{}.py".format(name, method)
        if epochs > reset_epochs and epochs % reset_epochs:
            yield "training.epochs: {} ends within a cycle of defenses.{} ({} epochs), where robustness is low".format(
                epochs, name, reset_epochs
            )


WRONG = [
    "{}: {}".format(".".join(map(str, error.absolute_path)) or "top level", error.message)
    for error in Draft202012Validator(SCHEMA).iter_errors(config)
] or list(wrong_together(config))
if WRONG:
    raise WorkflowError("The configuration is wrong.", *WRONG)
