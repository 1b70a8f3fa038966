"""Copy the small result files of a run to the folder where they are read, with a page that says what made them."""

from pathlib import Path
from typing import Any

import click

from advtrain.report.published import about_page, copy
from advtrain.results.atomic import write_text
from advtrain.results.parquet import read_provenances
from cli.command import FILE, FOLDER, Command, FromJson


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--results", required=True, type=FOLDER, help="The folder that all FILES are in.")
@click.option("--config", required=True, type=FromJson(dict[str, Any]), help="The configuration of the run, JSON.")
@click.option("--command", required=True, help="The command that makes these files.")
@click.option("--folder", required=True, type=FOLDER, help="Output: a copy of each file, at its place in the results.")
@click.option("--about", required=True, type=FILE, help="Output: what made them, Markdown.")
def main(files: tuple[Path, ...], results: Path, config: dict[str, Any], command: str, folder: Path, about: Path) -> None:
    """Copy FILES to the folder."""
    for file in files:
        copy(file, folder / file.relative_to(results))
    tables = read_provenances(file for file in files if file.suffix == ".parquet")
    write_text(about, about_page(tables.values(), config, command))


if __name__ == "__main__":
    main()
