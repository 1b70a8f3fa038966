"""Attack each classifier of a data set with the adversarial examples of each, seed by seed."""

from dataclasses import asdict
from pathlib import Path

import click
import torch

from advtrain.audit.finding import FINDINGS_SCHEMA, proportion
from advtrain.data.examples import load_examples
from advtrain.evaluation.pgd import Strong
from advtrain.evaluation.table import EVALUATION_SCHEMA, evaluation_row, unpack_outcomes
from advtrain.evaluation.transferability import ANY, MATRIX_SCHEMA, transfer
from advtrain.networks.trained import load_networks
from advtrain.results.parquet import read_provenance, read_table, write_rows
from advtrain.results.provenance import made_by
from advtrain.system.device import images_at_once, numerics, prepare_device
from cli.command import FILE, Command, FromJson


@click.command(cls=Command, lower="evaluation.batch_size")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--models", required=True, type=FromJson(dict[str, str]), help="Weights of each defense, paths by name, JSON.")
@click.option("--evaluations", required=True, type=FromJson(dict[str, str]), help="Evaluations of each defense, as --models.")
@click.option("--images", required=True, type=FILE, help="Test images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Test labels, uncompressed IDX.")
@click.option("--settings", required=True, type=FromJson(Strong), help="PGD of the strong evaluation, JSON.")
@click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images attacked at once.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--matrix", required=True, type=FILE, help="Output: accuracy for each source and target, Parquet.")
@click.option("--findings", required=True, type=FILE, help="Output: the audit's check of each target, Parquet.")
@click.option("--outcomes", required=True, type=FILE, help="Output: the other models' attacks on each, evaluations, Parquet.")
def main(
    dataset: str,
    models: dict[str, str],
    evaluations: dict[str, str],
    images: Path,
    labels: Path,
    settings: Strong,
    batch_size: int,
    device: str,
    matrix: Path,
    findings: Path,
    outcomes: Path,
) -> None:
    """Attack each classifier of a data set with the adversarial examples of each, seed by seed among those that have it."""
    chosen = prepare_device(device)
    data = load_examples(images, labels).subset(settings.examples, settings.subset_seed).to(chosen)
    networks = {defense: load_networks(Path(path), data) for defense, path in models.items()}
    pgd = {defense: _worst_of_pgd(Path(path)) for defense, path in evaluations.items()}
    attack = settings.pgd.attack(settings.epsilon, images_at_once(chosen, batch_size))
    rows = []
    for seed in sorted(set().union(*networks.values())):
        of_seed = {defense: network[seed] for defense, network in networks.items() if seed in network}
        withstood = {defense: pgd[defense][seed][: len(data)].to(chosen) for defense in of_seed}
        rows += [{"dataset": dataset, "seed": seed, **row} for row in transfer(of_seed, withstood, data, attack)]
    inputs = {defense: read_provenance(Path(path)) for defense, path in evaluations.items()}
    made = made_by({"dataset": dataset, **asdict(settings)}, numerics=numerics(chosen), inputs=inputs)
    write_rows(rows, MATRIX_SCHEMA, matrix, made)
    found, evaluated = [], []
    for row in (row for row in rows if row["source"] == ANY):
        model = {"dataset": dataset, "defense": row["target"], "seed": row["seed"]}
        found.append({**model, "check": "transfer_better", **asdict(proportion(row["newly_fooled"], row["examples"]))})
        of_others = evaluation_row("transfer", row["right"], epsilon=attack.epsilon, step_size=None, iterations=0)
        evaluated.append({**model, **of_others, "chance": data.chance})
    write_rows(found, FINDINGS_SCHEMA, findings, made)
    write_rows(evaluated, EVALUATION_SCHEMA, outcomes, made)


def _worst_of_pgd(path: Path) -> dict[int, torch.Tensor]:
    """Whether each image withstood PGD on both losses, by seed."""
    worst = [row for row in read_table(path).to_pylist() if row["attack"] == "pgd" and row["loss"] == "worst"]
    return {row["seed"]: torch.from_numpy(unpack_outcomes(row["outcomes"], row["examples"])) for row in worst}


if __name__ == "__main__":
    main()
