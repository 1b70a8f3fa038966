"""Add up what the jobs of a run took."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import cost
from advtrain.files import write_text
from advtrain.pages import to_html, to_markdown
from advtrain.results import provenance, read_provenance, read_provenances, write_table
from command import FILE, FOLDER, Command, Json


@click.command(cls=Command)
@click.argument("histories", nargs=-1, required=True, type=FILE)
@click.option("--benchmarks", required=True, type=FOLDER, help="Folder of the benchmark files of all jobs.")
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each training and each rule.")
@click.option("--md", required=True, type=FILE, help="Output: the same as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(
    histories: tuple[Path, ...],
    benchmarks: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    parquet: Path,
    md: Path,
    html: Path,
) -> None:
    """Add up the trainings of HISTORIES, named {dataset}/{defense}.history.parquet, and the jobs in the BENCHMARKS."""
    table = cost.cost_table(cost.training_seconds(histories), cost.seconds_by_rule(benchmarks))
    inputs = read_provenances(histories)
    write_table(pa.Table.from_pandas(table, preserve_index=False), parquet, provenance({}, inputs=inputs))
    sections = cost.page(table, datasets, defenses, read_provenance(histories[0])["device"])
    write_text(md, to_markdown("", sections))
    write_text(html, to_html("What it took", sections))


if __name__ == "__main__":
    main()
