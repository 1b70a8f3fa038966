"""Download a data set: four uncompressed IDX files from the first source that has the right bytes."""

import signal
import sys
from pathlib import Path

import click

from advtrain.data.sources import download
from cli.command import Command, FromJson


@click.command(cls=Command)
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--hashes", required=True, type=FromJson(dict[str, str]), help="SHA-256 of each file, by its name, JSON.")
@click.option("--local", required=True, type=click.Path(path_type=Path), help="Folder of files put there by hand.")
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="Where the files go.")
def main(dataset: str, hashes: dict[str, str], local: Path, folder: Path) -> None:
    """Download a data set."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: sys.exit("terminated"))  # which removes the scratch folder
    source, failures = download(dataset, folder, hashes, local)
    for failure in failures:
        click.echo(f"passed over: {failure}")
    click.echo(f"{dataset}: four files from the {source}, hashes checked")


if __name__ == "__main__":
    main()
