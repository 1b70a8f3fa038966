"""Copy the small result files of a run to where people read them, with a page that tells what made them."""

from pathlib import Path
from typing import Any

import click

from advtrain import published
from advtrain.files import write_text
from advtrain.pages import to_markdown
from advtrain.results import read_provenances
from command import FILE, FOLDER, Command, Json


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--results", required=True, type=FOLDER, help="The folder that all FILES are in.")
@click.option("--config", required=True, type=Json(), help="The configuration of the run, as JSON.")
@click.option("--command", required=True, help="What a person types to get here.")
@click.option("--folder", required=True, type=FOLDER, help="Output: a copy of each file, at its place in the results.")
@click.option("--about", required=True, type=FILE, help="Output: what made them, Markdown.")
def main(files: tuple[Path, ...], results: Path, config: dict[str, Any], command: str, folder: Path, about: Path) -> None:
    """Copy FILES to the folder."""
    for file in files:
        published.copy(file, folder / file.relative_to(results))
    tables = [file for file in files if file.suffix == ".parquet"]
    write_text(about, to_markdown("What made these files", published.made_by(read_provenances(tables), config, command)))


if __name__ == "__main__":
    main()
