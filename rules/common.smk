"""What the rules share: the cells, settings as JSON, the code that a result depends on, the device. No rule is here.

In all rules, `exec` puts the script in the shell's place, so that a signal to the job reaches it.
"""

import itertools
import json
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

from advtrain.data.idx import IDX_FILES
from advtrain.results.code import own_file, source_files


def chosen(section):
    """Names of the data sets or defenses that run: those of `only`, or all, without those of `without`.

    In the order of config.yaml, then others: Snakemake puts the keys that another --configfile overrides first.
    """
    order = [*PAPER_SCALE[section], *config[section]]
    only, without = config["only"].get(section, order), config["without"].get(section, [])
    return [name for name in dict.fromkeys(order) if name in config[section] and name in only and name not in without]


DATASETS = chosen("datasets")
# Where data sets of the user's own come from.
OWN_DATA = {
    name: {key: entry[key] for key in ("folder", "npz", "torchvision") if key in entry}
    for name, entry in config["datasets"].items()
    if not {"folder", "npz", "torchvision"}.isdisjoint(entry)
}
# Classifiers that were trained elsewhere, with what is known of them.
EXTERNAL = {name: entry["external"] for name, entry in config["defenses"].items() if "external" in entry}


def classifiers_on(dataset):
    """Names of the defenses that run on a data set: all but those from elsewhere that classify others."""
    return [name for name in chosen("defenses") if name not in EXTERNAL or dataset in EXTERNAL[name]["datasets"]]


DEFENSES = [name for name in chosen("defenses") if any(name in classifiers_on(dataset) for dataset in DATASETS)]
TRAINED = [name for name in DEFENSES if name not in EXTERNAL]


def own_files(dataset):
    """The files of the user's that an own data set is made of: a change to one makes it anew."""
    own = {key: Path(place).expanduser() for key, place in OWN_DATA[dataset].items()}
    if "folder" not in own:
        return [own["npz"]] if "npz" in own else []
    plain = [own["folder"] / name for name in IDX_FILES]
    return [file if file.exists() else file.with_name("{}.gz".format(file.name)) for file in plain]


def of_cells(*files):
    """Files, named with {dataset} and {defense}, of each defense on each data set that it runs on."""
    cells = [(dataset, defense) for dataset in DATASETS for defense in classifiers_on(dataset)]
    return [file for path in files for dataset, defense in cells for file in expand(path, dataset=dataset, defense=defense)]


EVALUATIONS = of_cells("<results>/{dataset}/{defense}.parquet")
FINDINGS = [
    *of_cells("<results>/audits/{dataset}/{defense}.parquet"),
    *expand("<results>/transfer/{dataset}.findings.parquet", dataset=DATASETS),
]
# What the audit's own attacks and the transfer leave, as evaluations.
OUTCOMES = [
    *of_cells("<results>/audits/{dataset}/{defense}.outcomes.parquet"),
    *expand("<results>/transfer/{dataset}.outcomes.parquet", dataset=DATASETS),
]
HISTORIES = expand("<results>/models/{dataset}/{defense}.history.parquet", dataset=DATASETS, defense=TRAINED)

COMMON = common_settings(config)


def recipe(defense, changes={}):
    """All that decides how a classifier is trained: the common settings, the defense's own in their place, then `changes`."""
    own = {**COMMON, **config["defenses"][defense]["training"], **changes}
    of_method = {"method", *settings_of(own["method"])}
    return {
        **{key: own[key] for key in COMMON if key not in ("labels", "attack_mode")},  # settings of some methods alone
        "subset_seed": config["subset_seed"],
        "defense": {key: own[key] for key in own if key in of_method},
    }


def ablated():
    """Proposed with each step and period of the ablation: (step_divisor, reset_epochs) of each classifier, by its name.

    The pair that is configured is the defense itself. Periods within which the training would end are left out, and of those
    that it does not reach all but the first.
    """
    own = recipe("proposed") if "training" in config["defenses"].get("proposed", {}) else None
    if own is None or own["defense"]["method"] != "proposed":
        return {}
    configured = (own["defense"]["step_divisor"], own["defense"]["reset_epochs"])
    epochs, periods = own["epochs"], config["ablation"]["reset_epochs"]
    whole = [reset for reset in periods if reset < epochs and epochs % reset == 0]
    never = [reset for reset in periods if reset >= epochs][:1]
    pairs = itertools.product(config["ablation"]["step_divisors"], whole + never)
    return {"proposed" if pair == configured else "proposed__step{}_reset{}".format(*pair): pair for pair in pairs}


def variants(defense):
    """The choices of `variants` that change how a defense is trained, by the name of the classifier that comes of each."""
    return {
        "{}__{}".format(defense, choice["name"]): choice
        for choice in config["variants"]["choices"]
        if defense in choice.get("defenses", [defense]) and recipe(defense, choice["training"]) != recipe(defense)
    }


def budgeted():
    """Each defense of `budgets` within each budget: the classifier's name, its epochs, and the passes that these make.

    Where that is how the defense is configured, it is the defense itself.
    """
    found = []
    for defense, passes in config["budgets"]["defenses"].items():
        for budget in config["budgets"]["passes"] if defense in TRAINED else []:
            made = recipe(defense, within_budget(config, defense, budget))
            name = defense if made == recipe(defense) else "{}__budget{}".format(defense, budget)
            length = {"epochs": made["epochs"], "passes": made["epochs"] * passes}
            found.append({"classifier": name, "defense": defense, "budget": budget, **length})
    return found


ABLATED = ablated()
BUDGETED = budgeted()
VARIANTS = {defense: variants(defense) for defense in config["variants"]["defenses"] if defense in TRAINED}

# Every classifier that can be trained: the defenses, and those that differ from one of them in some settings.
CLASSIFIERS = {
    **{name: recipe("proposed", {"step_divisor": step, "reset_epochs": reset}) for name, (step, reset) in ABLATED.items()},
    **{name: recipe(defense, choice["training"]) for defense in VARIANTS for name, choice in VARIANTS[defense].items()},
    **{one["classifier"]: recipe(one["defense"], within_budget(config, one["defense"], one["budget"])) for one in BUDGETED},
    **{name: recipe(name) for name in config["defenses"] if name not in EXTERNAL},
}

# Those of `successors` that run, by setting.
SUCCESSORS = [
    {"title": setting["title"], "defenses": names}
    for setting in config["successors"]
    if (names := [name for name in setting["defenses"] if name in TRAINED])
]

# Of each training, for its price.
EPOCHS = {name: CLASSIFIERS[name]["epochs"] for name in TRAINED}

# Classifiers with the weights of the epoch that was best on images held out, and without a training of their own.
BESTS = ["{}__best".format(name) for name in TRAINED if CLASSIFIERS[name]["held_out_examples"]]
WATCHED = "{:,} training images {}".format(
    COMMON["held_out_examples"] or COMMON["monitor_examples"],
    "held out" if COMMON["held_out_examples"] else "that were trained on",
)


def to_json(value, sort_keys=True):
    """A param for a script's JSON option, with sorted keys, so that equal settings are equal texts; titles keep their order.

    Snakemake's report has the params within a <script>, as they are: a title must not be able to end it.
    """
    return json.dumps(value, sort_keys=sort_keys).replace("<", "\\u003c")


def plan(dataset, classifier):
    """The plan of a training."""
    return {**CLASSIFIERS[classifier], "epsilon": config["datasets"][dataset]["epsilon"]}


def on_test_images(examples, **settings):
    """A param: the settings of an evaluation, with the data set's epsilon."""
    shared = {"examples": examples, "subset_seed": config["subset_seed"], **settings}
    return lambda wildcards: to_json({"epsilon": config["datasets"][wildcards.dataset]["epsilon"], **shared})


def constant(text):
    """A param that is exactly this text: in a plain string Snakemake would take JSON's braces for wildcards."""
    return lambda wildcards: text


def unrecorded(value):
    """A param that no result depends on: Snakemake does not rerun a rule for a param that is a function of `resources`."""
    return lambda wildcards, resources: value


def filled(section, content):
    """An input: no file, but an error where a section of the configuration that a rule is about has no content."""

    def check(wildcards):
        if not content:
            raise WorkflowError("`{}` is empty in this configuration; config/successors.yaml fills it.".format(section))
        return []

    return check


def of_trained(*files):
    """An input: files, of which nothing can be made unless some classifier is trained; an error where none is.

    Every page of such files has one. Snakemake takes a file that an earlier run has left, whatever its maker would say.
    """

    def check(wildcards):
        if not TRAINED:
            raise WorkflowError(
                "All classifiers of this configuration are external, and this compares with some that are trained. Add one to "
                "`only`, or ask for the evaluation of one alone, such as {}".format(
                    EVALUATIONS[0].replace("<results>", config["pathvars"]["results"])
                )
            )
        return list(files)

    return check


def from_here(file):
    """The path of one of this workflow's own files, from the folder in which Snakemake runs."""
    return os.path.relpath(ROOT / file)


def code(script, *methods, networks=()):
    """The script and the source files that decide what it computes: an edit to one reruns its rule, to another does not.

    `methods` are the defenses that it trains; `networks` those it makes, whose files are among them if they are a user's own.
    """
    files = [from_here("src/{}".format(file)) for file in source_files(Path(script).stem, *methods)]
    return files + sorted({own_file(network) for network in networks if own_file(network)})


def method_of(classifier):
    """The method that trains a classifier."""
    return CLASSIFIERS[classifier]["defense"]["method"]


def network_of(classifier):
    """The network that a classifier is trained as."""
    return CLASSIFIERS[classifier]["network"]


def departures(defense, apart_from=""):
    """Where a defense's own recipe departs from the common settings, apart from one of them, or from the paper's, in words."""
    if defense in EXTERNAL:
        return "weights from elsewhere"
    own = config["defenses"][defense]["training"]
    known = {**PAPER_SCALE["defenses"].get(defense, {}).get("training", {}), **COMMON}
    return ", ".join(
        "{} {}".format(key, own[key]) for key in own if key in known and own[key] != known[key] and key != apart_from
    )


def scale(epochs):
    """How the classifiers are trained, with what is not as the paper has it; `epochs` are words."""
    images, n = COMMON["examples"] - COMMON["held_out_examples"], len(COMMON["seeds"])
    words = "{network}, {images:,} images, {words}, batch {batch_size}, {n} seed{s}".format(
        images=images, words=epochs, n=n, s="s" if n > 1 else "", **COMMON
    )
    steps = ("optimiser", "momentum", "learning_rate", "schedule", "weight_decay", "precision", "zero_gradients")
    examples = ("labels", "attack_mode", "augment", "aligned")
    other = ["{} {}".format(key, COMMON[key]) for key in steps + examples if COMMON[key] != PAPER_SCALE["training"][key]]
    return ", ".join([words, *other])


def labels_about(names, epochs="{} epochs".format(COMMON["epochs"]), apart_from=""):
    """A param: the labels of a table or figure about some defenses only; arguments as of `scale` and `departures`."""
    found = {name: departures(name, apart_from) for name in names if name in DEFENSES}
    otherwise = {name: words for name, words in found.items() if words}
    return constant(to_json({**LABELS, "scale": scale(epochs), "departures": otherwise}, sort_keys=False))


LABELS = {
    "datasets": {name: config["datasets"][name]["title"] for name in DATASETS},
    "defenses": {name: config["defenses"][name]["title"] + (" (external)" if name in EXTERNAL else "") for name in DEFENSES},
    "families": {name: config["defenses"][name]["family"] for name in DEFENSES},
    "scale": scale("{} epochs".format(COMMON["epochs"])),
    "departures": {name: departures(name) for name in DEFENSES if departures(name)},
    **({"external": {name: EXTERNAL[name]["datasets"] for name in DEFENSES if name in EXTERNAL}} if EXTERNAL else {}),
}


def file_options(wildcards, input, output):
    """A param: an option for each named input except `code` and `after`, and --output for each output."""
    named = [(name, [files] if isinstance(files, str) else files) for name, files in [*input.items(), ("output", output)]]
    return options((name, file) for name, files in named if name not in ("code", "after") for file in files)


def setting_options(**settings):
    """A param: an option for each setting. Apart from `file_options`: Snakemake reruns no rule for a function of its files."""
    text = [(name, value if isinstance(value, str) else to_json(value, sort_keys=False)) for name, value in settings.items()]
    return constant(options(text))


def options(given):
    """Options of a command line, by name."""
    return " ".join("--{} {}".format(name.replace("_", "-"), shlex.quote(value)) for name, value in given)


def checkpoint_beside(table):
    """The checkpoint of the job that makes a Parquet file."""
    return table.removesuffix(".parquet") + ".checkpoint"


def reported(file, category, title):
    """A file of results that Snakemake's report shows, with the caption of its name."""
    return report(
        "<results>/{}".format(file),
        caption="../report/{}.rst".format(Path(file).stem),
        category=category,
        labels={"result": title},
    )


def page(name, category, title, formats=()):
    """The files of a table with its page, of which the report shows the HTML."""
    return [
        *multiext("<results>/{}".format(name), ".parquet", ".md", *formats),
        reported("{}.html".format(name), category, title),
    ]


def picture(name, category, title):
    """The files of a figure, of which the report shows the SVG."""
    return [reported("{}.svg".format(name), category, title), *multiext("<results>/{}".format(name), ".pdf", ".png")]


# The trace is BIM(trace_iterations) already, so the sweep leaves that N to it.
SWEPT = [n for n in config["evaluation"]["sweep_iterations"] if n != config["evaluation"]["trace_iterations"]]
TABLE_1_BIM = ["sweep", "trace"] if config["evaluation"]["trace_iterations"] in (10, 30) else ["sweep"]
# The audit compares with PGD, so it has no other images.
AUDITED = min(config["audit"]["examples"], config["pgd"]["examples"])
PGD = {key: value for key, value in config["pgd"].items() if key != "examples"}
# The time does not depend on the data set, so another serves as well where this one does not run.
TIMED = config["timing"]["dataset"] if config["timing"]["dataset"] in DATASETS else DATASETS[0]


SECONDS_FOR_GPUS = 60  # nvidia-smi takes some on a machine with many


def gpu_here():
    """Whether `device: auto` would find a GPU on this machine; the driver's tool alone may be there without one."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not shutil.which("nvidia-smi"):
        return False
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=SECONDS_FOR_GPUS)
    except subprocess.TimeoutExpired:
        raise WorkflowError("nvidia-smi does not answer; `device: cpu` or `device: cuda` says what to compute on.") from None
    return listed.returncode == 0 and "GPU" in listed.stdout


# Jobs ask for a GPU only where they will use one: a limit on GPUs would run CPU jobs one after the other.
GPUS = int(config["device"] in ("cuda", "mps") or (config["device"] == "auto" and gpu_here()))
# What does not fill a GPU shares this machine's; each job has one of its own where one is named, as on a cluster.
SHARED_GPU = int(config["device"] in ("cuda", "mps"))


wildcard_constraints:
    dataset="|".join(DATASETS),
    defense="|".join([*CLASSIFIERS, *BESTS, *EXTERNAL]),
