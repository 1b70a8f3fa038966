"""Attack each classifier of a data set with the adversarial examples of each, seed by seed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch

from advtrain.attacks import check_epsilon
from advtrain.datasets import load_examples
from advtrain.device import describe_device, prepare_device
from advtrain.evaluation import Pgd
from advtrain.measured import FINDINGS_SCHEMA, proportion
from advtrain.results import provenance, read_provenance, read_table, table_of, unpack_outcomes, write_table
from advtrain.transfer import ANY, MATRIX_SCHEMA, transfer
from cell import load_networks
from command import FILE, Command, Json


@click.command(cls=Command, lower="evaluation.batch_size")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--models", required=True, type=Json(), help="The weights of each defense, paths by name, as JSON.")
@click.option("--evaluations", required=True, type=Json(), help="All evaluations of each defense, paths by name, as JSON.")
@click.option("--images", required=True, type=FILE, help="Test images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Test labels, uncompressed IDX.")
@click.option("--examples", required=True, type=click.IntRange(min=1), help="Number of test images, those of PGD.")
@click.option("--subset-seed", required=True, type=int, help="Draws the test images if they are not all.")
@click.option("--epsilon", required=True, type=float, help="Radius of the l-infinity budget.")
@click.option("--pgd", "settings", required=True, type=Json(), help="PGD of the strong evaluation, as JSON.")
@click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images attacked at once.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--matrix", required=True, type=FILE, help="Output: accuracy for each source and target, Parquet.")
@click.option("--findings", required=True, type=FILE, help="Output: the audit's check of each target, Parquet.")
def main(
    dataset: str,
    models: dict[str, str],
    evaluations: dict[str, str],
    images: Path,
    labels: Path,
    examples: int,
    subset_seed: int,
    epsilon: float,
    settings: dict[str, Any],
    batch_size: int,
    device: str,
    matrix: Path,
    findings: Path,
) -> None:
    """Attack each classifier of a data set with the adversarial examples of each."""
    check_epsilon(epsilon)
    chosen = prepare_device(device)
    data = load_examples(images, labels).subset(examples, subset_seed).to(chosen)
    networks = {defense: load_networks(Path(path), chosen) for defense, path in models.items()}
    pgd = {defense: _worst_of_pgd(Path(path)) for defense, path in evaluations.items()}
    rows = []
    for seed in next(iter(networks.values())):
        of_seed = {defense: network[seed] for defense, network in networks.items()}
        withstood = {defense: outcomes[seed].to(chosen) for defense, outcomes in pgd.items()}
        for row in transfer(of_seed, withstood, data, Pgd.from_settings(settings, epsilon, batch_size)):
            rows.append({"dataset": dataset, "seed": seed, **row})
    config = {"dataset": dataset, "examples": examples, "subset_seed": subset_seed, "epsilon": epsilon, "pgd": settings}
    inputs = {defense: read_provenance(Path(path)) for defense, path in evaluations.items()}
    made = provenance(config, describe_device(chosen), inputs=inputs)
    write_table(table_of(rows, MATRIX_SCHEMA), matrix, made)
    found = [
        {
            "dataset": dataset,
            "defense": row["target"],
            "seed": row["seed"],
            "check": "transfer_better",
            **asdict(proportion(row["newly_fooled"], row["examples"])),
        }
        for row in rows
        if row["source"] == ANY
    ]
    write_table(table_of(found, FINDINGS_SCHEMA), findings, made)


def _worst_of_pgd(path: Path) -> dict[int, torch.Tensor]:
    """Whether each image withstood PGD on both losses, by seed."""
    worst = [row for row in read_table(path).to_pylist() if row["attack"] == "pgd" and row["loss"] == "worst"]
    return {row["seed"]: torch.from_numpy(unpack_outcomes(row["outcomes"], row["examples"])) for row in worst}


if __name__ == "__main__":
    main()
