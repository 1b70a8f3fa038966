"""Measure all parts, and write their rounds and docs/benchmarks.md: what `make bench` runs."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa
import torch

from advtrain.report.pages import Section, join_markdown
from advtrain.report.paper import SECONDS_PER_EPOCH
from advtrain.results.atomic import write_text
from advtrain.results.parquet import write_table
from advtrain.results.provenance import Provenance, made_by, provenance_line
from advtrain.system.device import numerics, prepare_device
from advtrain.training.timing import BASELINE
from benchmarks import epochs, libraries, optimisations, overhead
from benchmarks.libraries import BATCH_SIZE, OURS, PLAIN_LOOP
from benchmarks.measure import ratio, seconds
from benchmarks.optimisations import LARGE_BATCH, WITH, WITHOUT
from benchmarks.overhead import IMPORT_TORCH
from benchmarks.setup import CONFIG, Setup

PARTS = {
    "attack": libraries.measure,
    "epochs": epochs.measure,
    "optimisations": optimisations.measure,
    "overhead": overhead.measure,
}
LIBRARIES = ("torchattacks", "foolbox", "adversarial-robustness-toolbox", "snakemake")

INTRODUCTION = """`make bench` wrote this page. The contenders of a table took turns in rounds, in a rotating order; the first
round does not count. Figures are medians over the rounds, with quartiles in brackets. A ratio is taken within a round. Seconds
depend on the machine; quartiles far apart mean that it was busy."""

ATTACK = f"""1,000 test images of MNIST, no random start, epsilon 0.3, steps of 0.03, batches of {BATCH_SIZE}, one thread,
`small_cnn` after 200 training steps. If one disagrees with ours in float64, the benchmark stops. ART has float32 only, where
rounding may flip the sign of a gradient near zero."""

EPOCHS = """60,000 images, one thread, scaled up from blocks of 10 steps. Ours is the pipeline's `Trainer`.
The plain loop has a shuffling `DataLoader`, an attack loop, two forward passes and `loss.item()` at each step. The paper used a
Tesla K20m."""

OVERHEAD = """Before it computes, a script imports modules and reads options: the time of `python3 src/<script>.py --help`,
compared with `python3 -c "import torch"`, which also collects garbage at its end. Snakemake's line is `make quick` on two cores
with scripts that only create their outputs, divided by its {jobs} jobs."""

OPTIMISATIONS = f"""Time without each over time with it, one thread. Written down: BIM(10) on the form of the network that an
attack takes on a CPU ([cpu.py](../src/advtrain/fast/cpu.py)). Memory kept, which the allocator returns to the system by default
(`keep_memory`): training of Proposed, and FGSM in AutoAttack's batches of {LARGE_BATCH}. Three seeds of Proposed as one batched
network: slower where below 1, so a CPU trains one by one."""


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of MNIST's four IDX files, uncompressed.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the tables, a Parquet file each.")
@click.option("--page", "page_file", required=True, type=click.Path(path_type=Path), help="The page, Markdown.")
def main(data: Path, results: Path, page_file: Path) -> None:
    """Measure how fast the pipeline is, on one thread of the CPU."""
    torch.set_num_threads(1)
    prepare_device("cpu")
    setup = Setup.load(data)
    made, tables = provenance(setup), {}
    for part, measure in PARTS.items():
        click.echo(f"measuring: {part}", err=True)
        tables[part] = measure(setup)
        write_table(pa.Table.from_pandas(tables[part], preserve_index=False), results / f"{part}.parquet", made)
    write_text(page_file, page(tables, made))


def provenance(setup: Setup) -> Provenance:
    """The settings of all contenders, the machine and the versions."""
    plans = {defense: asdict(setup.plan(defense)) for defense in CONFIG["defenses"]}
    packages = {name: version(name) for name in LIBRARIES}
    return made_by({"plans": plans, "batch_size": BATCH_SIZE, "libraries": packages}, numerics=numerics(torch.device("cpu")))


def page(tables: Mapping[str, pd.DataFrame], made: Provenance) -> str:
    """The page as Markdown, of the tables of all parts, by their names."""
    versions = {"torch": made.record["versions"]["torch"], **made.record["settings"]["libraries"]}
    measured = provenance_line("Measured with " + ", ".join(map(" ".join, versions.items())), [made])
    sections = [
        Section("", f"{INTRODUCTION}\n\n{measured}."),
        Section("BIM(10)", ATTACK, attack_table(tables["attack"])),
        Section("Epochs of training", EPOCHS, epochs_table(tables["epochs"])),
        Section("Optimisations", OPTIMISATIONS, optimisations_table(tables["optimisations"])),
        Section("Overhead", OVERHEAD.format(jobs=tables["overhead"]["jobs"].max()), overhead_table(tables["overhead"])),
    ]
    return join_markdown("Benchmarks", sections)


def attack_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each library."""
    rows = {}
    for name, agreed in table.groupby("contender", sort=False).first().iterrows():
        largest = "float32 only" if pd.isna(agreed["largest_difference"]) else f"{agreed['largest_difference']:.1g}"
        rows[name] = (seconds(table, name), ratio(table, name, OURS), largest, f"{agreed['differing_pixels']:.4%}")
    columns = ["seconds", "time / ours", "largest difference, float64", "differing pixels, float32"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def epochs_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each defense."""
    rows = {}
    for name in table["contender"].str.partition(", ")[0].unique():
        ours, loop = f"{name}, {OURS}", f"{name}, {PLAIN_LOOP}"
        price = f"{SECONDS_PER_EPOCH[name] / SECONDS_PER_EPOCH[BASELINE]:.2f}" if name in SECONDS_PER_EPOCH else "-"
        rows[name] = (seconds(table, ours), ratio(table, loop, ours), ratio(table, ours, f"{BASELINE}, {OURS}"), price)
    columns = ["seconds, ours", "plain loop / ours", "ours / FGSM-Adv", "paper / FGSM-Adv"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def optimisations_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each optimisation."""
    names = table["contender"].str.partition(": ")[0].unique()
    rows = {name: (ratio(table, f"{name}: {WITHOUT}", f"{name}: {WITH}"),) for name in names}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["without / with"])


def overhead_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each script, one for `import torch` and one for Snakemake."""
    rows = {name: (seconds(table, name), ratio(table, name, IMPORT_TORCH)) for name in table["contender"].unique()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["seconds", f"time / {IMPORT_TORCH}"])


if __name__ == "__main__":
    main()
