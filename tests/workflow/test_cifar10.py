"""CIFAR-10 through the workflow, by its own two configurations: tiny images, a residual network, crops and flips."""

import torch
import yaml

from advtrain.data.idx import IDX_FILES, sha256
from advtrain.networks.trained import load_network
from advtrain.results import checkpoint
from advtrain.results.parquet import read_table
from synthetic import synthetic_cifar10, write_synthetic_dataset
from workspace import Workspace

CONFIGURED = ("--configfile", "config/cifar10.yaml", "config/cifar10_cpu.yaml", "config/small.yaml", "--")


def test_a_carrying_defense_is_downloaded_trained_and_attacked_and_differs_from_its_variant(workspace: Workspace) -> None:
    local = workspace.folder / "local" / "cifar10"
    write_synthetic_dataset(local, seed=0, make=synthetic_cifar10)
    small = yaml.safe_load((workspace.folder / "config" / "tiny.yaml").read_text())
    kept = {key: small[key] for key in ("pathvars", "local_folder", "training", "evaluation", "pgd", "autoattack", "audit")}
    hashes = {name: sha256(local / name) for name in IDX_FILES}
    kept |= {"datasets": {"cifar10": {"sha256": hashes}}, "only": {"defenses": ["fgsm_mep"]}}
    (workspace.folder / "config" / "small.yaml").write_text(yaml.safe_dump(kept))
    models = workspace.results / "models" / "cifar10"
    attacked = workspace.results / "evaluations" / "cifar10" / "fgsm_mep.trace.parquet"
    files = (attacked, models / "fgsm_mep__not_aligned.pt")
    workspace.make(*CONFIGURED, *(str(file.relative_to(workspace.folder)) for file in files))
    assert set(read_table(attacked).to_pandas()["seed"]) == {0, 1}
    network = load_network(workspace.results / "cifar10" / "fgsm_mep", seed=0)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    aligned, not_aligned = (checkpoint.load(models / f"fgsm_mep{end}.pt") for end in ("", "__not_aligned"))
    assert aligned["network"] == not_aligned["network"] == "resnet8"
    assert not torch.equal(*(model["weights"]["0"]["conv.weight"] for model in (aligned, not_aligned)))
    settings = aligned["provenance"]["record"]["settings"]
    assert (settings["augment"], settings["aligned"], settings["optimiser"]) == ("crop_flip", True, "sgd")


def test_pages_name_what_is_not_as_the_paper_trains(workspace: Workspace) -> None:
    planned = workspace.run([*workspace.command()[:3], "--dry-run", *CONFIGURED[:3], "--", "results/cifar10_cpu/table1.md"])
    said = "batch 64, 2 seeds, optimiser sgd, learning_rate 0.1, schedule [[0, 0], [4, 1], [10, 0]], weight_decay 0.0005"
    assert f"resnet8, 10,000 images, 10 epochs, {said}, augment crop_flip" in planned.stdout, planned.stderr
