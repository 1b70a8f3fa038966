"""Judge the paper's claims on all evaluations and the timing."""

from pathlib import Path

from advtrain.report.claims_page import claims_table, page
from advtrain.report.labels import Labels
from advtrain.report.paper_claims import Figures, judge_all
from advtrain.results.parquet import read_provenance, read_table
from cli.report import Outputs, made_of, read_rows, report_command


@report_command("timing-blocks", many="evaluations")
def main(evaluations: tuple[Path, ...], timing_blocks: Path, labels: Labels, outputs: Outputs) -> None:
    """Judge the paper's claims."""
    figures = Figures(read_rows(evaluations), read_table(timing_blocks).to_pandas(), labels.datasets, labels.defenses)
    claims = judge_all(figures)
    outputs.write_table(claims_table(claims), made_of(labels, (*evaluations, timing_blocks)))
    outputs.write_page("The paper's claims", page(claims, figures, labels, read_provenance(timing_blocks).record["device"]))


if __name__ == "__main__":
    main()
