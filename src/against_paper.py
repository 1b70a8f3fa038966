"""Compare our Table I with the paper's, figure by figure."""

from pathlib import Path

import click

from advtrain import against_paper
from advtrain.results import provenance, read_provenances, read_table
from command import FILE, Command
from outputs import Outputs, outputs_options, scale_option


@click.command(cls=Command)
@click.option("--table", "table_file", required=True, type=FILE, help="Parquet of table1.py.")
@scale_option
@outputs_options
def main(outputs: Outputs, table_file: Path, scale: str) -> None:
    """Compare our Table I with the paper's."""
    table = read_table(table_file).to_pandas()
    found = against_paper.against_paper(table)
    made = provenance({"scale": scale}, inputs=read_provenances([table_file]))
    outputs.write(found, made, "Against the paper", against_paper.page(found, table, scale))


if __name__ == "__main__":
    main()
