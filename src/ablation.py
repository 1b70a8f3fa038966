"""Compare the steps and periods of Proposed with the paper's own choice, as a table and as heat maps."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain.ablation import ablation_table, page
from advtrain.ablation_map import ablation_map
from advtrain.figures import save_figure
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json

TITLE = "The step and the resets of Proposed"


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option(
    "--classifiers", required=True, type=Json(), help="Step divisor and epochs between two resets of each, by name; JSON."
)
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Length of the training.")
@click.option("--scale", required=True, help="What the classifiers were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each figure.")
@click.option("--md", required=True, type=FILE, help="Output: the table as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
@click.option("--figure", "figures", required=True, multiple=True, type=FILE, help="Output: .svg, .pdf or .png; several.")
def main(
    evaluations: tuple[Path, ...],
    classifiers: dict[str, list[int]],
    datasets: dict[str, str],
    epochs: int,
    scale: str,
    parquet: Path,
    md: Path,
    html: Path,
    figures: tuple[Path, ...],
) -> None:
    """Compare the steps and periods from the EVALUATIONS of all classifiers, by sweep_bim.py, trace_bim.py and strong.py."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    table = ablation_table(rows, classifiers, list(datasets), epochs)
    made = provenance({"classifiers": classifiers, "scale": scale}, inputs=read_provenances(evaluations))
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, made)
    sections = page(table, datasets, scale)
    write_text(md, to_markdown("", sections))
    write_text(html, to_html(TITLE, sections))
    save_figure(ablation_map(table, datasets), list(figures))


if __name__ == "__main__":
    main()
