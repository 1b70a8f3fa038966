"""Compare our Table I with the paper's, figure by figure."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import against_paper
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command

TITLE = "Against the paper"


@click.command(cls=Command)
@click.option("--table", "table_file", required=True, type=FILE, help="Parquet of table1.py.")
@click.option("--scale", required=True, help="What the models were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each figure that the paper has.")
@click.option("--md", required=True, type=FILE, help="Output: the table as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(table_file: Path, scale: str, parquet: Path, md: Path, html: Path) -> None:
    """Compare our Table I with the paper's."""
    table = read_table(table_file).to_pandas()
    found = against_paper.against_paper(table)
    made = provenance({"scale": scale}, inputs=read_provenances([table_file]))
    write_table(pa.Table.from_pandas(found, preserve_index=False), parquet, made)
    sections = against_paper.page(found, table, scale)
    write_text(md, to_markdown("", sections))
    write_text(html, to_html(TITLE, sections))


if __name__ == "__main__":
    main()
