"""BIM(10) on test images: ours beside torchattacks, foolbox, ART and a plain loop, and whether they all give the same."""

import itertools
import math

import pandas as pd
import torch

from benchmarks.equality import largest_difference, share_of_differing_pixels
from benchmarks.ground import Ground, devices, thread_counts
from benchmarks.measure import cpu_threads, interleave
from benchmarks.peers import ART, OURS, Task, contenders

ROUNDS = 5
EXAMPLES = 1000
BATCH_SIZES = (125, 64)
ITERATIONS = 10


def measure(ground: Ground) -> pd.DataFrame:
    """Seconds of each contender for all images, and how its adversarial examples differ from ours.

    Returns:
        Rows of `interleave` with `case`, `threads`, `device`, and the columns of `differences`.
    """
    tables = []
    for device, batch_size in itertools.product(devices(), BATCH_SIZES):
        task = task_on(ground, device, torch.float32, batch_size)
        with cpu_threads(1):
            found = differences(task, task_on(ground, device, torch.float64, batch_size))
        # All cores with one batch size only: on a busy machine threads that wait for each other take minutes.
        for threads in thread_counts(device) if batch_size == BATCH_SIZES[0] else [1]:
            with cpu_threads(threads):
                timed = interleave(contenders(task), ROUNDS, device)
            timed = timed.assign(case=f"batch {batch_size}", threads=threads, device=device.type)
            tables.append(timed.merge(found, on="contender", how="left"))
    return pd.concat(tables, ignore_index=True)


def task_on(ground: Ground, device: torch.device, dtype: torch.dtype, batch_size: int) -> Task:
    """The attack on the first test images in a floating-point type."""
    data = ground.test.first(EXAMPLES).to(device)
    return Task(
        network=ground.copy_of(ground.attacked).to(device, dtype),
        x=data.x.to(dtype),
        y=data.y,
        batch_size=batch_size,
        epsilon=ground.epsilon,
        step_size=ground.epsilon / ITERATIONS,
        iterations=ITERATIONS,
    )


def differences(float32: Task, float64: Task) -> pd.DataFrame:
    """How the adversarial examples of each contender differ from ours, of the same task in both types.

    Returns:
        A row for each contender: `contender`, `float64_largest_difference`, `float64_differing` and `float32_differing`, the
        last two as shares of the pixels; NaN in float64 for ART, which has float32 only.
    """
    runs = {dtype: contenders(task) for dtype, task in ((torch.float32, float32), (torch.float64, float64))}
    expected = {dtype: torch.as_tensor(runs[dtype][OURS]()) for dtype in runs}
    rows = []
    for name in runs[torch.float32]:
        found32 = torch.as_tensor(runs[torch.float32][name]()).to(float32.x.device)
        row = {"contender": name, "float32_differing": share_of_differing_pixels(found32, expected[torch.float32])}
        largest, share = math.nan, math.nan
        if name != ART:
            found64 = torch.as_tensor(runs[torch.float64][name]())
            largest = largest_difference(found64, expected[torch.float64])
            share = share_of_differing_pixels(found64, expected[torch.float64])
        rows.append(row | {"float64_largest_difference": largest, "float64_differing": share})
    return pd.DataFrame(rows)
