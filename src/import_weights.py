"""Take in a classifier that was trained elsewhere: fit its weights to a network, and write them as train.py does."""

from dataclasses import asdict
from pathlib import Path

import click

from advtrain.data.examples import load_examples
from advtrain.data.idx import sha256
from advtrain.networks.plain import new_network, predict_all
from advtrain.networks.trained import content, networks_of
from advtrain.networks.weights import External, fit, read_state_dict
from advtrain.results import checkpoint
from advtrain.results.provenance import made_by
from advtrain.system.errors import InputError
from cli.command import FILE, Command, FromJson, say

TRIED = 1000
"""Test images, the first, on which a line of output says how right it is."""


@click.command(cls=Command)
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--defense", required=True, help="Name of the classifier.")
@click.option("--weights", required=True, type=FILE, help="A state dict: .pt, .pth or .safetensors.")
@click.option("--settings", required=True, type=FromJson(External), help="What has to be known of the weights, JSON.")
@click.option("--images", required=True, type=FILE, help="Test images, uncompressed IDX.")
@click.option("--labels", required=True, type=FILE, help="Test labels, uncompressed IDX.")
@click.option("--model", required=True, type=FILE, help="Output: the weights as train.py writes them.")
def main(dataset: str, defense: str, weights: Path, settings: External, images: Path, labels: Path, model: Path) -> None:
    """Take in a classifier that was trained elsewhere, and say how right it is on some test images."""
    data = load_examples(images, labels).first(TRIED)
    channels = data.x.shape[1]
    if settings.mean and len(settings.mean) not in (1, channels):
        raise InputError(
            f"mean and std have {len(settings.mean)} numbers, the images of {dataset} have {channels} "
            f"channel{'s' if channels > 1 else ''}; one number for each, or one for all"
        )
    state, read = read_state_dict(weights)
    try:
        state, fitted = fit(state, new_network(settings.network), channels_last=settings.flattened == "channels_last")
        normalised = {"mean": list(settings.mean), "std": list(settings.std)} if settings.mean else {}
        made_of = content(settings.network, {settings.seed: state}, **normalised)
        (network,) = networks_of(made_of, data).values()
    except InputError as error:
        raise InputError(f"{weights} as {settings.network}: {error}") from error
    changed = read + fitted
    digests = {"weights_sha256": sha256(weights), "network_sha256": made_of["source"]}
    made = made_by({"dataset": dataset, **asdict(settings), **digests, "changed": changed})
    checkpoint.save(model, {**made_of, "provenance": made.content()})
    right = (predict_all(network, data.x, batch_size=250).argmax(dim=1) == data.y).float().mean().item()
    said = [f"{dataset}/{defense}: {weights} as {settings.network}", *changed]
    said.append(
        "mean {mean}, std {std}".format(**normalised) if normalised else "no mean and std: images in [0, 1] as they are"
    )
    said.append(f"{right:.1%} of {len(data):,} test images right when clean")
    if right < 2 * data.chance:
        said.append(f"{data.chance:.1%} are chance: are mean and std, flattened, or the order of the classes others?")
    say(*said)


if __name__ == "__main__":
    main()
