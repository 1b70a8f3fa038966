"""Bring in a user's own data set: four IDX files, made of a folder's, of an .npz, or of a class of torchvision."""

from pathlib import Path

import click

from advtrain.data.idx import IDX_FILES, sha256
from advtrain.data.own import bring
from advtrain.system.errors import InputError
from cli.command import FOLDER, Command, FromJson, say


@click.command(cls=Command)
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--source", required=True, type=FromJson(dict[str, str]), help="folder, npz or torchvision with its place, JSON.")
@click.option("--hashes", required=True, type=FromJson(dict[str, str]), help="SHA-256 of each file by its name, or none, JSON.")
@click.option("--folder", required=True, type=FOLDER, help="Where the files go.")
def main(dataset: str, source: dict[str, str], hashes: dict[str, str], folder: Path) -> None:
    """Bring in a user's own data set, and say what it holds."""
    try:
        held = bring(source, hashes, folder)
    except InputError as error:
        raise InputError(f"datasets.{dataset}: {error}") from error
    say(f"{dataset}: {held}")
    if not hashes:
        found = ", ".join(f"{name}: {sha256(folder / name)}" for name in IDX_FILES)
        say(f"warning: nothing holds these files to what they were; to do so add sha256: {{{found}}} to datasets.{dataset}")


if __name__ == "__main__":
    main()
