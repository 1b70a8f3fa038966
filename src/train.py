"""Train all seeds of a cell, one defense on one data set; resume from its checkpoint after a kill or a stop."""

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from advtrain.data.examples import load_examples
from advtrain.networks.ensemble import can_be_stacked
from advtrain.networks.own import source_digest
from advtrain.networks.plain import new_network
from advtrain.networks.trained import content
from advtrain.results import checkpoint
from advtrain.results.code import code_digest
from advtrain.results.parquet import write_rows
from advtrain.results.provenance import made_by
from advtrain.system.device import numerics, prepare_device
from advtrain.training.plan import HISTORY_SCHEMA, Plan
from advtrain.training.run import how_far, train
from cli.command import FILE, Command, FromJson
from cli.progress import Progress
from cli.stopping import noting_signals


@click.command(
    cls=Command,
    lower="training.monitor_examples or held_out_examples, training.batch_size or the number of training.seeds "
    "(all but the first change results)",
)
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--defense", required=True, help="Name of the defense, as in the configuration.")
@click.option("--images", required=True, type=FILE, help="Training images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Training labels, uncompressed IDX.")
@click.option("--plan", required=True, type=FromJson(Plan), help="All that decides what the training computes, JSON.")
@click.option("--checkpoint-epochs", required=True, type=click.IntRange(min=1), help="Epochs between two checkpoints.")
@click.option("--device", required=True, help="auto, cuda, mps or cpu.")
@click.option("--cuda-graph", required=True, type=bool, help="Whether to run the steps from a CUDA graph.")
@click.option("--checkpoint", "checkpoint_file", required=True, type=FILE, help="Where to resume; deleted at the end.")
@click.option("--model", required=True, type=FILE, help="Output: the weights of all seeds.")
@click.option("--history", required=True, type=FILE, help="Output: a row for each seed and epoch, Parquet.")
def main(
    dataset: str,
    defense: str,
    images: Path,
    labels: Path,
    plan: Plan,
    checkpoint_epochs: int,
    device: str,
    cuda_graph: bool,
    checkpoint_file: Path,
    model: Path,
    history: Path,
) -> None:
    """Train all seeds of a cell; on SIGTERM, SIGINT or SIGHUP save a checkpoint and stop."""
    chosen = prepare_device(device)
    data = load_examples(images, labels).subset(plan.examples, plan.subset_seed).to(chosen)
    if not can_be_stacked(new_network(plan.network)):
        click.echo(f"{plan.network}: no quicker form of it is known; it is trained as it is, each seed alone", err=True)
    source = source_digest(plan.network)
    identity = checkpoint.identity({**plan.identity(), "source": source}, code_digest("train", plan.method), data.x, data.y)
    state = checkpoint.load_if_same(checkpoint_file, identity)
    if state:
        click.echo(f"{dataset}/{defense}: resumes from a checkpoint, {how_far(state)}", err=True)
    progress = Progress(f"{dataset}/{defense}", plan.epochs, len(plan.seeds), log=sys.stderr, console=sys.stdout)
    with noting_signals() as why_stop:
        trained = train(
            plan,
            data,
            resume_from=state,
            save=partial(checkpoint.save_state, checkpoint_file, identity),
            save_every=checkpoint_epochs,
            cuda_graph=cuda_graph and chosen.type == "cuda",
            why_stop=why_stop,
            watch=progress,
        )
    own = {"network_sha256": source} if source else {}
    made = made_by({"dataset": dataset, **asdict(plan), **own}, numerics=numerics(chosen))
    write_rows([asdict(record) for record in trained.history], HISTORY_SCHEMA, history, made)
    best = {str(seed): kept for seed, kept in trained.best.items()}
    checkpoint.save(model, {**content(plan.network, trained.weights), "best": best, "provenance": made.content()})
    checkpoint_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
