"""What the rules share: the cells, the files that define the science of a rule, the device. No rule is here.

In all rules, `exec` puts the script in the shell's place: a signal to the job reaches it, and it ends when Snakemake is gone.

In all rules, what a result does not depend on (the device, the batch of an attack, how often to save, where files put by hand
lie) is a resource and no param, since a changed param would rerun the rule.
"""

import itertools
import json
import platform
import shutil
import subprocess
from pathlib import Path

import yaml

PAPER_SCALE = yaml.safe_load(Path(workflow.basedir, "config/config.yaml").read_text())


def in_order(section):
    """Names in `section` of the configuration: config.yaml's in its order, then others.

    Snakemake puts the keys that another --configfile overrides first, which would change the order of the table's rows.
    With --replace-workflow-config that file need not have all that config.yaml has.
    """
    return sorted(config[section], key=lambda name: [*PAPER_SCALE[section], name].index(name))


DATASETS = in_order("datasets")
DEFENSES = in_order("defenses")

EVALUATIONS = expand("<results>/{dataset}/{defense}.parquet", dataset=DATASETS, defense=DEFENSES)
HISTORIES = expand("<results>/models/{dataset}/{defense}.history.parquet", dataset=DATASETS, defense=DEFENSES)

# An edit to one of these files reruns the rules that name it, and no others.
SHARED_CODE = [
    "src/advtrain/accuracy.py",
    "src/advtrain/attacks.py",
    "src/advtrain/datasets.py",
    "src/advtrain/ensemble.py",
    "src/advtrain/frozen.py",
    "src/advtrain/idx.py",
    "src/advtrain/networks.py",
]
TRAINING_CODE = [
    *SHARED_CODE,
    "src/advtrain/captured.py",
    "src/advtrain/defenses/__init__.py",
    "src/advtrain/training.py",
]
EVALUATION_CODE = [*SHARED_CODE, "src/advtrain/evaluation.py", "src/advtrain/results.py", "src/cell.py"]
OUTPUT_CODE = "src/outputs.py"
PAGE_CODE = [OUTPUT_CODE, "src/advtrain/pages.py"]
AUDIT_CODE = [*PAGE_CODE, "src/advtrain/audit.py", "src/advtrain/criteria.py", "src/advtrain/paper.py"]
TABLE_CODE = [*AUDIT_CODE, "src/advtrain/statistics.py", "src/advtrain/tables.py"]
PICTURE_CODE = [OUTPUT_CODE, "src/advtrain/figures.py", "src/advtrain/origin.py"]
FIGURE_CODE = [*PICTURE_CODE, "src/advtrain/paper.py", "src/advtrain/statistics.py"]


def trained_with(defense, network=config["network"], training={}, settings={}):
    """All that decides how a classifier is trained: as the configuration has it, but for what is given."""
    return {
        "network": network,
        "training": {**config["training"], **training},
        "settings": {**config["defenses"][defense]["training"], **settings},
    }


def ablated(defense="proposed"):
    """Proposed with each step and period of the ablation: (step_divisor, reset_epochs) of each classifier, by its name.

    The one whose step and period are the defense's own is that defense. Periods within which the training would end are left
    out, and of those that it does not reach all but the first.
    """
    own = config["defenses"].get(defense, {"training": {}})["training"]
    if own.get("method") != "proposed":
        return {}
    epochs, periods = config["training"]["epochs"], config["ablation"]["reset_epochs"]
    whole = [reset for reset in periods if reset < epochs and epochs % reset == 0]
    never = [reset for reset in periods if reset >= epochs][:1]
    grid = itertools.product(config["ablation"]["step_divisors"], whole + never)
    return {
        (
            defense
            if (divisor, reset) == (own["step_divisor"], own["reset_epochs"])
            else "{}__step{}_reset{}".format(defense, divisor, reset)
        ): (divisor, reset)
        for divisor, reset in grid
    }


def variants(defense):
    """The choices of `variants` that change how a defense is trained, by the name of the classifier that comes of each."""
    own = trained_with(defense)
    choices = {"{}__{}".format(defense, choice["name"]): choice for choice in config["variants"]["choices"]}
    return {
        name: choice
        for name, choice in choices.items()
        if defense in choice.get("defenses", [defense])
        and choice.get("settings", {}).keys() <= own["settings"].keys()
        and trained_with(defense, **changes(choice)) != own
    }


def changes(choice):
    """What a choice of `variants` changes."""
    return {key: value for key, value in choice.items() if key not in ("name", "title", "defenses")}


ABLATED = ablated()
VARIANTS = {defense: variants(defense) for defense in config["variants"]["defenses"] if defense in DEFENSES}

# Every classifier that can be trained: those of the paper, and those that are one of them but for a setting.
CLASSIFIERS = {
    **{
        name: trained_with("proposed", settings={"step_divisor": divisor, "reset_epochs": reset})
        for name, (divisor, reset) in ABLATED.items()
    },
    **{name: trained_with(defense, **changes(choice)) for defense in VARIANTS for name, choice in VARIANTS[defense].items()},
    **{name: trained_with(name) for name in DEFENSES},
}


def method_code(classifier):
    """The file of a classifier's defense."""
    return "src/advtrain/defenses/{}.py".format(CLASSIFIERS[classifier]["settings"]["method"])


# Settings that are objects go to the scripts as JSON.
ALL_SETTINGS = json.dumps({name: CLASSIFIERS[name]["settings"] for name in DEFENSES}, sort_keys=True)
HASHES = {name: json.dumps(config["datasets"][name]["sha256"], sort_keys=True) for name in DATASETS}
# Snakemake's report has the params within a <script>, as they are: a title must not be able to end it.
DATASET_TITLES = json.dumps({name: config["datasets"][name]["title"] for name in DATASETS}).replace("<", "\\u003c")
DEFENSE_TITLES = json.dumps({name: config["defenses"][name]["title"] for name in DEFENSES}).replace("<", "\\u003c")
DEFENSE_FAMILIES = json.dumps({name: config["defenses"][name]["family"] for name in DEFENSES})


CHOICES = json.dumps(
    {
        defense: {defense: "As configured", **{name: choice["title"] for name, choice in VARIANTS[defense].items()}}
        for defense in VARIANTS
    }
).replace("<", "\\u003c")


# Snakemake compares a rule's params as a set of values without their names, so an exchange of two numbers would rerun nothing.
# These go into the params beside the numbers and tell them apart.
def training_by_name(classifier):
    """The settings of a classifier's training that its result depends on."""
    training = CLASSIFIERS[classifier]["training"]
    return json.dumps({key: value for key, value in training.items() if key != "checkpoint_epochs"}, sort_keys=True)


TIMING_BY_NAME = json.dumps({**config["timing"], "cuda_graph": config["cuda_graph"]}, sort_keys=True)

# The trace is BIM(trace_iterations) already, so the sweep leaves that N to it.
SWEPT = [n for n in config["evaluation"]["sweep_iterations"] if n != config["evaluation"]["trace_iterations"]]
TABLE_1_BIM = ["sweep", "trace"] if config["evaluation"]["trace_iterations"] in (10, 30) else ["sweep"]
SWEEP_BY_NAME = json.dumps([SWEPT, config["evaluation"]["fixed_step"]], sort_keys=True)
PGD = json.dumps(config["strong"]["pgd"], sort_keys=True)
AUDIT_BY_NAME = json.dumps(config["audit"], sort_keys=True)
AUTOATTACK_BY_NAME = json.dumps(config["autoattack"], sort_keys=True)
SCALE = "{network}, {examples:,} images, {epochs} epochs, batch {batch_size}, {n} seed{s}".format(
    network=config["network"],
    n=len(config["training"]["seeds"]),
    s="s" if len(config["training"]["seeds"]) > 1 else "",
    **config["training"],
)


def gpu_here():
    """Whether `device: auto` would find a GPU on this machine; the driver's tool alone may be there without one."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    listed = shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return bool(listed) and listed.returncode == 0 and "GPU" in listed.stdout


# Jobs ask for a GPU only where they will use one: a limit on GPUs would run CPU jobs one after the other.
GPUS = int(config["device"] in ("cuda", "mps") or (config["device"] == "auto" and gpu_here()))


wildcard_constraints:
    dataset="|".join(DATASETS),
    defense="|".join(CLASSIFIERS),
