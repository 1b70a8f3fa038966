"""Compare the choices that the paper leaves open with its Table I."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import variants
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json

TITLE = "What the paper leaves open"


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option(
    "--classifiers", required=True, type=Json(), help="For each defense the title of each choice, by classifier; JSON."
)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--fixed-step-divisor", required=True, type=float, help="Of epsilon, in BIM of a fixed step.")
@click.option("--scale", required=True, help="What the classifiers were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each figure.")
@click.option("--md", required=True, type=FILE, help="Output: the table as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(
    evaluations: tuple[Path, ...],
    classifiers: dict[str, dict[str, str]],
    datasets: dict[str, str],
    defenses: dict[str, str],
    fixed_step_divisor: float,
    scale: str,
    parquet: Path,
    md: Path,
    html: Path,
) -> None:
    """Compare the choices from the EVALUATIONS of all classifiers, the tables of sweep_bim.py and trace_bim.py."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    table = variants.variants_table(rows, classifiers, list(datasets), f"BIM of ε/{fixed_step_divisor:g} a step")
    inputs = read_provenances(evaluations)
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, provenance({"scale": scale}, inputs=inputs))
    sections = variants.page(table, datasets, defenses, scale)
    write_text(md, to_markdown("", sections))
    write_text(html, to_html(TITLE, sections))


if __name__ == "__main__":
    main()
