"""Contenders timed in turn in one run, and their ratios: what every part measures with."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
import torch

from advtrain.system.device import synchronise

CPU = torch.device("cpu")
WITHIN = ["case", "threads", "device", "round"]


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int, device: torch.device = CPU) -> pd.DataFrame:
    """Time every contender once in each round, in an order that turns from round to round, so that noise hits all alike.

    One round more goes first, as a warm-up that is not counted. The device is waited for before the clock is read.

    Args:
        contenders: what to run, by name.
        rounds: rounds that count.
        device: where the contenders compute.

    Returns:
        A row for each contender and round: `contender`, `round` from 0, `seconds`.
    """
    names = list(contenders)
    rows = []
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds = _seconds(contenders[name], device)
            if number >= 0:
                rows.append((name, number, seconds))
    return pd.DataFrame(rows, columns=["contender", "round", "seconds"])


def ratios(frame: pd.DataFrame, baseline: str) -> pd.Series:
    """Seconds of each row over those of `baseline` in the same round, case, threads and device.

    Two measurements made within moments of each other see the same machine; medians of different minutes do not.
    """
    base = frame[frame["contender"] == baseline].set_index(WITHIN)["seconds"]
    return frame["seconds"] / base.loc[pd.MultiIndex.from_frame(frame[WITHIN])].to_numpy()


def quartiles(frame: pd.DataFrame, by: list[str], column: str) -> pd.DataFrame:
    """Median, lower and upper quartile of a column over the rounds, a row for each group in the order of the frame."""
    grouped = frame.groupby(by, sort=False)[column]
    return grouped.quantile([0.25, 0.5, 0.75]).unstack().set_axis(["lower", "median", "upper"], axis=1).loc[_order(frame, by)]


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Let torch compute with `threads` threads on the CPU, and with as many as before at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _order(frame: pd.DataFrame, by: list[str]) -> pd.Index:
    groups = frame[by].drop_duplicates()
    return pd.Index(groups[by[0]]) if len(by) == 1 else pd.MultiIndex.from_frame(groups)


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - start
