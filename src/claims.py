"""Judge the paper's claims on all evaluations and the timing."""

from pathlib import Path

import click
import pyarrow as pa

from advtrain import claims_page
from advtrain.claims import Evidence, judge_all
from advtrain.files import write_text
from advtrain.results import provenance, read_provenance, read_provenances, read_table, write_table
from command import FILE, Command, Json


@click.command(cls=Command)
@click.argument("evaluations", nargs=-1, required=True, type=FILE)
@click.option("--timing-blocks", required=True, type=FILE, help="Rounds of time_epochs.py.")
@click.option("--datasets", required=True, type=Json(), help="Title of each data set, as a JSON object.")
@click.option("--defenses", required=True, type=Json(), help="Title of each defense, as a JSON object.")
@click.option("--scale", required=True, help="What the models were trained on, in words.")
@click.option("--parquet", required=True, type=FILE, help="Output: a row for each claim.")
@click.option("--md", required=True, type=FILE, help="Output: the same as people read it.")
@click.option("--html", required=True, type=FILE, help="Output: the same as a page.")
def main(
    evaluations: tuple[Path, ...],
    timing_blocks: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
    parquet: Path,
    md: Path,
    html: Path,
) -> None:
    """Judge the paper's claims on the EVALUATIONS of all cells."""
    rows = pa.concat_tables([read_table(path) for path in evaluations]).to_pandas()
    evidence = Evidence(rows, read_table(timing_blocks).to_pandas(), datasets, defenses)
    claims = judge_all(evidence)
    inputs = read_provenances((*evaluations, timing_blocks))
    write_table(claims_page.claims_table(claims), parquet, provenance({"scale": scale}, inputs=inputs))
    about = claims_page.note(evidence, scale, read_provenance(timing_blocks)["device"])
    write_text(md, claims_page.to_markdown(claims, about))
    write_text(html, claims_page.to_html(claims, about))


if __name__ == "__main__":
    main()
