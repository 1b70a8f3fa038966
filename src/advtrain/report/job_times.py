"""What a run took: seconds of training from the histories, of all else from the benchmark files that Snakemake leaves."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from advtrain.report.columns import PASSES
from advtrain.report.labels import Labels
from advtrain.report.pages import Section, grid
from advtrain.results.parquet import read_table

TRAINING = "train"


def training_seconds(histories: Iterable[Path]) -> pd.DataFrame:
    """Seconds of all epochs and seeds of each training, from its history, {dataset}/{defense}.history.parquet.

    A job's benchmark file does not have them all if the job went on from a checkpoint.
    """
    rows = [
        {
            "rule": TRAINING,
            "dataset": path.parent.name,
            "defense": path.name.removesuffix(".history.parquet"),
            "jobs": 1,
            "seconds": sum(read_table(path).column("seconds").to_pylist()),
        }
        for path in histories
    ]
    return pd.DataFrame(rows)


def seconds_by_rule(folder: Path, rules: Collection[str], labels: Labels) -> pd.DataFrame:
    """Number of jobs and their seconds for each of some rules, from `folder`/{rule}.tsv and `folder`/{rule}/**/*.tsv.

    Other rules do not count, as they may not have run yet, nor do jobs of data sets or classifiers that are not in `labels`.
    """
    cells = {*labels.datasets, *labels.defenses}
    rows = []
    for file in sorted(folder.rglob("*.tsv")):
        rule, *cell = file.relative_to(folder).with_suffix("").parts
        if rule in rules and cells.issuperset(cell):
            rows.append({"rule": rule, "seconds": pd.read_csv(file, sep="\t")["s"].iloc[0]})
    table = pd.DataFrame(rows, columns=["rule", "seconds"])
    return table.groupby("rule")["seconds"].agg(jobs="size", seconds="sum").reset_index()


def cost_table(trainings: pd.DataFrame, jobs: pd.DataFrame, timing: pd.DataFrame) -> pd.DataFrame:
    """The tables of `training_seconds` and of `seconds_by_rule` for all else, whose data set and defense are empty.

    `passes` are a training's passes per image and epoch, of the table `timing` of time_epochs.py, whatever its seconds.
    """
    rest = jobs[jobs["rule"] != TRAINING].assign(dataset="", defense="")
    return pd.concat([trainings, rest], ignore_index=True).join(timing.set_index("defense")["passes"], on="defense")


def page(table: pd.DataFrame, labels: Labels, device: str) -> list[Section]:
    """The page of a `cost_table`: minutes of each training, then of each rule; `device` is what the models were trained on."""
    trained = table[table["rule"] == TRAINING]
    titled = trained.assign(defense=trained["defense"].map(labels.defenses), dataset=trained["dataset"].map(labels.datasets))
    minutes = grid(titled, (trained["seconds"] / 60).map("{:.1f}".format), "defense", "dataset")
    passes = titled.groupby("defense")["passes"].first().map("{:g}".format)
    rules = table.groupby("rule", sort=False)[["jobs", "seconds"]].sum()
    rows = pd.DataFrame({"Jobs": rules["jobs"].astype(str), "Minutes": (rules["seconds"] / 60).map("{:.1f}".format)})
    hours = table["seconds"].sum() / 3600
    note = (
        f"Minutes of wall time, {hours:.1f} hours in all; the trainings ran on {device}. Several jobs ran at once. A "
        "training's minutes are those of all its seeds, without monitoring and saving. Other work may have slowed a job, so "
        "compare trainings by the times of Table I, where all took turns, or by passes: forward and backward over an image, "
        "per training image and epoch."
    )
    return [
        Section("", note),
        Section("Training", table=minutes.assign(**{PASSES: passes})),
        Section("By rule", table=rows.rename_axis(index=None)),
    ]
