"""Judge the paper's claims on all evaluations and the timing."""

from pathlib import Path

import click

from advtrain import claims_page
from advtrain.claims import Evidence, judge_all
from advtrain.files import write_text
from advtrain.results import provenance, read_provenance, read_provenances, read_table, write_table
from command import FILE, Command
from outputs import Outputs, datasets_option, defenses_option, evaluations_argument, outputs_options, read_rows, scale_option


@click.command(cls=Command)
@evaluations_argument
@click.option("--timing-blocks", required=True, type=FILE, help="Rounds of time_epochs.py.")
@datasets_option
@defenses_option
@scale_option
@outputs_options
def main(
    outputs: Outputs,
    evaluations: tuple[Path, ...],
    timing_blocks: Path,
    datasets: dict[str, str],
    defenses: dict[str, str],
    scale: str,
) -> None:
    """Judge the paper's claims on the EVALUATIONS of all cells."""
    evidence = Evidence(read_rows(evaluations), read_table(timing_blocks).to_pandas(), datasets, defenses)
    claims = judge_all(evidence)
    inputs = read_provenances((*evaluations, timing_blocks))
    write_table(claims_page.claims_table(claims), outputs.parquet, provenance({"scale": scale}, inputs=inputs))
    about = claims_page.note(evidence, scale, read_provenance(timing_blocks)["device"])
    write_text(outputs.md, claims_page.to_markdown(claims, about))
    write_text(outputs.html, claims_page.to_html(claims, about))


if __name__ == "__main__":
    main()
