"""Compare the classifiers with each other, under every attack of Table I."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import tables
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each pair, data set and attack.")
@click.option("--md", required=True, type=FILE, help="Output: the table as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(
    evaluations: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    parquet: Path,
    md: Path,
    html: Path,
) -> None:
    """Compare the classifiers from the EVALUATIONS of all cells."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    table = tables.differences(rows, datasets, defenses)
    inputs = read_provenances(evaluations)
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, provenance({}, inputs=inputs))
    sections = tables.differences_page(table, datasets, defenses)
    write_text(md, to_markdown("Differences", sections))
    write_text(html, to_html("Differences", sections))


if __name__ == "__main__":
    main()
