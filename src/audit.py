"""Judge every check of every trained model, as a table and as a page."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.audit import audit_table, page
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("findings", nargs=-1, required=True, type=FILE)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--scale", required=True, help="What the models were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each model and check.")
@click.option("--md", required=True, type=FILE, help="Output: the page.")
@click.option("--html", required=True, type=FILE, help="Output: the same.")
def main(
    findings: tuple[Path, ...],
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    parquet: Path,
    md: Path,
    html: Path,
) -> None:
    """Judge what FINDINGS of audit_model.py and transfer.py measured."""
    audit = audit_table(pa.concat_tables([read_table(path) for path in findings]).to_pandas())
    inputs = read_provenances(findings)
    write_table(pa.Table.from_pandas(audit, preserve_index=False), parquet, provenance({"scale": scale}, inputs=inputs))
    title, sections = page(audit, datasets, defenses, scale)
    write_text(md, to_markdown(title, sections))
    write_text(html, to_html(title, sections))


if __name__ == "__main__":
    main()
