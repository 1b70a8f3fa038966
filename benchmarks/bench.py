"""Measure all parts, or one, and write their tables, the page and its plot: what `make bench` runs."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa

from advtrain.system.device import describe_device
from advtrain.report.figures import save_figure
from advtrain.results.atomic import write_text
from advtrain.results.parquet import provenance, read_provenance, read_table, write_table
from benchmarks import attack, epochs, evaluation, growth, kept, limit, overhead
from benchmarks.ground import Ground, all_cores, devices, load_ground
from benchmarks.page import page
from benchmarks.plot import plot

PARTS: dict[str, Callable[[Ground], pd.DataFrame]] = {
    "attack": attack.measure,
    "epochs": epochs.measure,
    "limit": limit.measure,
    "evaluation": evaluation.measure,
    "overhead": overhead.measure,
    "growth": growth.measure,
    "kept": kept.measure,
}
PEERS = ("adversarial-robustness-toolbox", "foolbox", "torchattacks", "snakemake")
FIRST_COLUMNS = ["part", "case", "contender", "threads", "device", "round", "seconds"]


@click.command()
@click.option("--part", type=click.Choice(list(PARTS)), help="Measure this part alone; the page has the others as they were.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of MNIST's four IDX files, uncompressed.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the tables, a Parquet file each.")
@click.option("--page", "page_file", required=True, type=click.Path(path_type=Path), help="The page; its plot goes beside it.")
def main(part: str | None, data: Path, results: Path, page_file: Path) -> None:
    """Measure how fast the pipeline is."""
    ground = load_ground(data)
    for name in [part] if part else PARTS:
        click.echo(f"measuring: {name}", err=True)
        write_table(tidy(name, PARTS[name](ground)), results / f"{name}.parquet", conditions(ground))
    files = {name: results / f"{name}.parquet" for name in PARTS if (results / f"{name}.parquet").exists()}
    tables = {name: read_table(file).to_pandas() for name, file in files.items()}
    made = {name: read_provenance(file) for name, file in files.items()}
    picture = page_file.with_suffix(".svg")
    save_figure(plot(tables), [picture])
    write_text(page_file, page(tables, made, picture.name))


def tidy(part: str, frame: pd.DataFrame) -> pa.Table:
    """A part's table with the columns that all parts have in front."""
    frame = frame.assign(part=part)
    return pa.Table.from_pandas(
        frame[FIRST_COLUMNS + [name for name in frame if name not in FIRST_COLUMNS]], preserve_index=False
    )


def conditions(ground: Ground) -> dict[str, Any]:
    """Provenance of a measurement: the settings of all contenders, the machine and the versions."""
    names = " and ".join(describe_device(device) for device in devices())
    config = {
        "epsilon": ground.epsilon,
        "network": ground.config["network"],
        "batch_size": ground.batch_size,
        "defenses": {name: entry["training"] for name, entry in ground.config["defenses"].items()},
        "seeds": [0],
        "machine": f"{names}, {all_cores()} CPU cores to compute on, {platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in PEERS},
    }
    return provenance(config, names)


if __name__ == "__main__":
    main()
