"""What the rules share: the cells, the files that define the science of a rule, the device. No rule is here."""

import json
import platform
import shutil

DATASETS = list(config["datasets"])
DEFENSES = list(config["defenses"])
SEEDS = ",".join(map(str, config["training"]["seeds"]))

EVALUATIONS = expand("<results>/{dataset}/{defense}.parquet", dataset=DATASETS, defense=DEFENSES)
HISTORIES = expand("<results>/models/{dataset}/{defense}.history.parquet", dataset=DATASETS, defense=DEFENSES)

# An edit to one of these files reruns the rules that name it, and no others.
RESULTS_CODE = ["src/advtrain/results.py"]
ATTACK_CODE = [
    "src/advtrain/attacks.py",
    "src/advtrain/datasets.py",
    "src/advtrain/evaluation.py",
    "src/advtrain/networks.py",
]
TRAINING_CODE = [*ATTACK_CODE, "src/advtrain/defenses/__init__.py", "src/advtrain/training.py"]
METHOD_CODE = {
    name: "src/advtrain/defenses/{}.py".format(defense["training"]["method"]) for name, defense in config["defenses"].items()
}

# Settings that are objects go to the scripts as JSON.
DEFENSE_SETTINGS = {name: json.dumps(defense["training"]) for name, defense in config["defenses"].items()}
ALL_SETTINGS = json.dumps({name: defense["training"] for name, defense in config["defenses"].items()})
HASHES = {name: json.dumps(dataset["sha256"]) for name, dataset in config["datasets"].items()}
DATASET_TITLES = json.dumps({name: dataset["title"] for name, dataset in config["datasets"].items()})
DEFENSE_TITLES = json.dumps({name: defense["title"] for name, defense in config["defenses"].items()})
DEFENSE_FAMILIES = json.dumps({name: defense["family"] for name, defense in config["defenses"].items()})

# The trace is BIM(trace_iterations) already, so the sweep leaves that N to it.
SWEPT = [n for n in config["evaluation"]["sweep_iterations"] if n != config["evaluation"]["trace_iterations"]]
SCALE = "{network}, {examples:,} images, {epochs} epochs, batch {batch_size}".format(
    network=config["network"], **config["training"]
)

# Jobs ask for a GPU only where they will use one: a limit on GPUs would run CPU jobs one after the other.
GPU_HERE = shutil.which("nvidia-smi") is not None or platform.system() == "Darwin"
GPUS = int(config["device"] in ("cuda", "mps") or (config["device"] == "auto" and GPU_HERE))


wildcard_constraints:
    dataset="|".join(DATASETS),
    defense="|".join(DEFENSES),
