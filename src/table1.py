"""Assemble Table I, ours beside the paper's, from all evaluations and the timing."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import tables
from advtrain.files import write_text
from advtrain.pages import to_html, to_latex, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option("--timing", required=True, type=FILE, help="Table of time_epochs.py.")
@click.option("--audit", "audit_file", required=True, type=FILE, help="Table of audit.py.")
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--scale", required=True, help="What the models were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each figure.")
@click.option("--csv", required=True, type=FILE, help="Output: the same.")
@click.option("--md", required=True, type=FILE, help="Output: the table as people read it.")
@click.option("--tex", required=True, type=FILE, help="Output: the same for LaTeX.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(
    evaluations: tuple[Path, ...],
    timing: Path,
    audit_file: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    parquet: Path,
    csv: Path,
    md: Path,
    tex: Path,
    html: Path,
) -> None:
    """Assemble Table I from the EVALUATIONS of all cells."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    times, audit = (read_table(path).to_pandas() for path in (timing, audit_file))
    table = tables.table_1(rows, times, audit, datasets, defenses)
    sections = tables.page(table, audit, datasets, defenses, scale, times["device"].iloc[0])
    inputs = read_provenances((*evaluations, timing, audit_file))
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, provenance({"scale": scale}, inputs=inputs))
    for path, text in (
        (csv, table.to_csv(index=False)),
        (md, to_markdown("", sections)),
        (tex, to_latex(sections)),
        (html, to_html("Table I", sections)),
    ):
        write_text(path, text)


if __name__ == "__main__":
    main()
