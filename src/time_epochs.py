"""Measure seconds and passes per training epoch of all defenses, in one process, one after the other."""

from dataclasses import asdict
from functools import cache
from pathlib import Path

import click
import pyarrow as pa
import torch

from advtrain.data.examples import load_examples
from advtrain.results.parquet import write_table
from advtrain.results.provenance import made_by
from advtrain.system.device import numerics, prepare_device
from advtrain.training.passes import passes_per_image
from advtrain.training.plan import Plan
from advtrain.training.timing import Timing, summarise, time_epochs
from advtrain.training.trainer import Trainer
from cli.command import FILE, Command, FromJson


@click.command(cls=Command, lower="training.batch_size")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--images", required=True, type=FILE, help="Training images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Training labels, uncompressed IDX.")
@click.option("--plans", required=True, type=FromJson(dict[str, Plan]), help="The plan of each defense, by name, JSON.")
@click.option("--timing", required=True, type=FromJson(Timing), help="How it is measured, JSON.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--cuda-graph", required=True, type=bool, help="Whether to run the steps from a CUDA graph.")
@click.option("--output", required=True, type=FILE, help="Output: a row for each defense, Parquet.")
@click.option("--blocks-output", required=True, type=FILE, help="Output: a row for each defense and round, Parquet.")
def main(
    dataset: str,
    images: Path,
    labels: Path,
    plans: dict[str, Plan],
    timing: Timing,
    device: str,
    cuda_graph: bool,
    output: Path,
    blocks_output: Path,
) -> None:
    """Measure seconds and passes per training epoch of all defenses."""
    torch.set_num_threads(timing.threads)
    chosen = prepare_device(device)
    cuda_graph = cuda_graph and chosen.type == "cuda"
    data = load_examples(images, labels)
    trained_on = cache(lambda n, seed: data.subset(n, seed).to(chosen))  # by all that train on as many, on the device once
    trainers = {
        name: Trainer(plan, trained_on(plan.examples, plan.subset_seed), plan.seeds, cuda_graph=cuda_graph)
        for name, plan in plans.items()
    }
    rounds = time_epochs(trainers, timing)
    conditions = {"dataset": dataset, **asdict(timing), "cuda_graph": cuda_graph}
    summary = summarise(rounds).assign(
        **conditions,
        **{key: [getattr(plan, key) for plan in plans.values()] for key in ("network", "examples", "batch_size")},
        passes=[passes_per_image(plan, data.subset(plan.examples, plan.subset_seed)) for plan in plans.values()],
        device=numerics(chosen)["device"],
    )
    made = made_by({**conditions, "plans": {name: asdict(plan) for name, plan in plans.items()}}, numerics=numerics(chosen))
    for table, path in ((summary, output), (rounds, blocks_output)):
        write_table(pa.Table.from_pandas(table, preserve_index=False), path, made)


if __name__ == "__main__":
    main()
