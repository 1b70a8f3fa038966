"""Train all seeds of a cell, one defense on one data set; go on from its checkpoint if a run before was killed or stopped."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import torch

from advtrain import checkpoint
from advtrain.datasets import load_examples
from advtrain.device import describe_device, prepare_device
from advtrain.progress import Progress
from advtrain.results import provenance, table_of, write_table
from advtrain.stopping import WhyStop
from advtrain.training import Plan, State, how_far, train
from command import FILE, Command, Integers, Json

HISTORY_SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("epoch", pa.int64()),
        ("loss", pa.float64()),
        ("clean_accuracy", pa.float64()),
        ("adversarial_accuracy", pa.float64()),
        ("robust_accuracy", pa.float64()),
        ("seconds", pa.float64()),
    ]
)


@click.command(
    cls=Command,
    lower="training.monitor_examples, training.batch_size or the number of training.seeds (all but the first change results)",
)
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--images", required=True, type=FILE, help="Training images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Training labels, uncompressed IDX.")
@click.option("--defense", required=True, help="Name of the defense, as in the configuration.")
@click.option("--settings", required=True, type=Json(), help="The defense's method and settings, as a JSON object.")
@click.option("--epsilon", required=True, type=float, help="Radius of the l-infinity budget.")
@click.option("--network", required=True, help="small_cnn or madry_cnn.")
@click.option("--seeds", required=True, type=Integers(), help="Seeds, with commas between.")
@click.option("--examples", required=True, type=click.IntRange(min=1), help="Number of training images.")
@click.option("--subset-seed", required=True, type=int, help="Draws the training images if they are not all.")
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Epochs of each seed.")
@click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images a step.")
@click.option("--learning-rate", required=True, type=float, help="Of Adam, constant.")
@click.option("--monitor-examples", required=True, type=click.IntRange(min=1), help="Training images that are watched.")
@click.option("--monitor-iterations", required=True, type=click.IntRange(min=1), help="Iterations of the BIM that watches.")
@click.option("--checkpoint-epochs", required=True, type=click.IntRange(min=1), help="Epochs between two checkpoints.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--cuda-graph", required=True, type=bool, help="Whether to run the steps from a CUDA graph.")
@click.option(
    "--checkpoint", "checkpoint_file", required=True, type=FILE, help="Where a killed run goes on; deleted at the end."
)
@click.option("--model", required=True, type=FILE, help="Output: the weights of all seeds.")
@click.option("--history", required=True, type=FILE, help="Output: a row for each seed and epoch, Parquet.")
def main(
    dataset: str,
    images: Path,
    labels: Path,
    defense: str,
    settings: dict[str, Any],
    epsilon: float,
    network: str,
    seeds: list[int],
    examples: int,
    subset_seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    monitor_examples: int,
    monitor_iterations: int,
    checkpoint_epochs: int,
    device: str,
    cuda_graph: bool,
    checkpoint_file: Path,
    model: Path,
    history: Path,
) -> None:
    """Train all seeds of a cell; on SIGTERM, SIGINT or SIGHUP save a checkpoint and stop."""
    chosen = prepare_device(device)
    data = load_examples(images, labels).subset(examples, subset_seed).to(chosen)
    plan = Plan(network, settings, epsilon, epochs, batch_size, learning_rate, monitor_examples, monitor_iterations)
    # Nothing in a training depends on when it will end, so what has been trained serves a longer one as well.
    identity = {
        **{name: value for name, value in asdict(plan).items() if name != "epochs"},
        "data": checkpoint.tensor_digest(data.x, data.y),
        "code": checkpoint.code_digest(settings.get("method", "")),
        "device": chosen.type,
        "torch": str(torch.__version__),
    }
    progress = Progress(f"{dataset}/{defense}", epochs, len(seeds), log=sys.stderr, console=sys.stdout)

    def save(state: State) -> None:
        checkpoint.save_state(checkpoint_file, identity, state)

    state = checkpoint.load_if_same(checkpoint_file, identity)
    if state:
        click.echo(f"{dataset}/{defense}: goes on from a checkpoint, {how_far(state)}", err=True)
    with WhyStop() as why_stop:
        trained = train(
            plan,
            data,
            seeds,
            resume_from=state,
            save=save,
            save_every=checkpoint_epochs,
            cuda_graph=cuda_graph and chosen.type == "cuda",
            why_stop=why_stop,
            watch=progress,
        )
    config = {**asdict(plan), "dataset": dataset, "examples": examples, "subset_seed": subset_seed, "seeds": seeds}
    made = provenance(config, describe_device(chosen))
    write_table(table_of([asdict(record) for record in trained.history], HISTORY_SCHEMA), history, made)
    weights = {str(seed): state for seed, state in trained.weights.items()}
    checkpoint.save(model, {"network": network, "weights": weights, "provenance": made})
    checkpoint_file.unlink(missing_ok=True)
    progress.close()


if __name__ == "__main__":
    main()
