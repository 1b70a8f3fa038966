"""Contenders timed in turn in one run, and the ratios of their times: what every part measures with."""

import time
from collections.abc import Callable, Mapping

import pandas as pd

from advtrain.training.timing import in_turns

Run = Callable[[], object]


def interleave(contenders: Mapping[str, Run], rounds: int) -> pd.DataFrame:
    """Time every contender once in each round, in turns, so that noise hits all alike; a warm-up that does not count is first.

    Returns a row for each contender and round: `contender`, its name; `round`, from 0; `seconds`.
    """
    rows = []
    for number, name in in_turns(list(contenders), rounds):
        start = time.perf_counter()
        contenders[name]()
        rows.append((name, number, time.perf_counter() - start))
    return pd.DataFrame(rows[len(contenders) :], columns=["contender", "round", "seconds"])


def seconds(table: pd.DataFrame, contender: str) -> str:
    """Median of a contender's seconds over the rounds."""
    return f"{table['seconds'][table['contender'] == contender].median():.2f}"


def ratio(table: pd.DataFrame, contender: str, baseline: str) -> str:
    """A contender's seconds over those of `baseline`: median and quartiles, such as "1.84 (1.79-1.90)".

    The ratio is taken within a round: measurements within moments of each other see the same machine.
    """
    rounds = table.pivot(index="round", columns="contender", values="seconds")
    lower, median, upper = (rounds[contender] / rounds[baseline]).quantile([0.25, 0.5, 0.75])
    return f"{median:.2f} ({lower:.2f}-{upper:.2f})"
