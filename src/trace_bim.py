"""Evaluate a cell after each iterate of one BIM(N) (Figure 2)."""

from functools import partial

import click

from advtrain.evaluation.paper_attacks import Trace, trace_bim
from cli.command import Command
from cli.evaluation import Cell, cell_options


@click.command(cls=Command, lower="evaluation.batch_size")
@cell_options(Trace)
def main(cell: Cell[Trace]) -> None:
    """Evaluate a cell after each iterate of one BIM(N)."""
    cell.evaluate(partial(trace_bim, trace=cell.settings, batch_size=cell.at_once), ensembles=True)


if __name__ == "__main__":
    main()
