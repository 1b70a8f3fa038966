"""Measure the seconds per training epoch of all defenses, in one process and in turn."""

from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import torch

from advtrain.datasets import load_examples
from advtrain.device import describe_device, prepare_device
from advtrain.results import provenance, write_table
from advtrain.timing import summarise, time_epochs
from advtrain.training import Plan, Trainer
from command import FILE, Command, Json


@click.command(cls=Command, lower="training.batch_size")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--images", required=True, type=FILE, help="Training images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Training labels, uncompressed IDX.")
@click.option("--defenses", required=True, type=Json(), help="Method and settings of each defense, as a JSON object.")
@click.option("--epsilon", required=True, type=float, help="Radius of the l-infinity budget.")
@click.option("--network", required=True, help="small_cnn or madry_cnn.")
@click.option("--examples", required=True, type=click.IntRange(min=1), help="Number of training images of an epoch.")
@click.option("--subset-seed", required=True, type=int, help="Draws the training images if they are not all.")
@click.option("--batch-size", required=True, type=click.IntRange(min=1), help="Images a step.")
@click.option("--learning-rate", required=True, type=float, help="Of Adam, constant.")
@click.option("--blocks", required=True, type=click.IntRange(min=1), help="Rounds that count; one more warms up.")
@click.option("--steps-per-block", required=True, type=click.IntRange(min=1), help="Training steps of a defense in a round.")
@click.option("--threads", required=True, type=click.IntRange(min=1), help="CPU threads of the measurement.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--cuda-graph", required=True, type=bool, help="Whether to run the steps from a CUDA graph.")
@click.option("--output", required=True, type=FILE, help="Output: a row for each defense, Parquet.")
@click.option("--blocks-output", required=True, type=FILE, help="Output: a row for each defense and round, Parquet.")
def main(
    dataset: str,
    images: Path,
    labels: Path,
    defenses: dict[str, dict[str, Any]],
    epsilon: float,
    network: str,
    examples: int,
    subset_seed: int,
    batch_size: int,
    learning_rate: float,
    blocks: int,
    steps_per_block: int,
    threads: int,
    device: str,
    cuda_graph: bool,
    output: Path,
    blocks_output: Path,
) -> None:
    """Measure the seconds per training epoch of all defenses."""
    torch.set_num_threads(threads)
    chosen = prepare_device(device)
    cuda_graph = cuda_graph and chosen.type == "cuda"
    data = load_examples(images, labels).subset(examples, subset_seed).to(chosen)
    trainers = {}
    for name, settings in defenses.items():
        plan = Plan(network, settings, epsilon, 1, batch_size, learning_rate, monitor_examples=1, monitor_iterations=1)
        trainers[name] = Trainer(plan, data, [0], cuda_graph)
    timed = time_epochs(trainers, blocks=blocks, steps_per_block=steps_per_block)
    conditions = {
        "dataset": dataset,
        "network": network,
        "examples": examples,
        "batch_size": batch_size,
        "blocks": blocks,
        "steps_per_block": steps_per_block,
        "threads": threads,
        "cuda_graph": cuda_graph,
    }
    config = {**conditions, "defenses": defenses, "epsilon": epsilon, "learning_rate": learning_rate, "seeds": [0]}
    device_name = describe_device(chosen)
    made = provenance(config, device_name)
    summary = summarise(timed).assign(**conditions, device=device_name)
    for table, path in ((summary, output), (timed, blocks_output)):
        write_table(pa.Table.from_pandas(table, preserve_index=False), path, made)


if __name__ == "__main__":
    main()
