"""What a run took: seconds of training from the histories, of all else from the benchmark files that Snakemake leaves."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from advtrain.pages import Section
from advtrain.results import read_table

TRAINING = "train"


def seconds_by_rule(folder: Path) -> pd.DataFrame:
    """Number of jobs and their seconds for each rule, from `folder`/{rule}.tsv and `folder`/{rule}/**/*.tsv.

    Jobs of classifiers that are a defense but for a setting, which have two underscores in their names, are left out.

    Returns:
        A row for each rule: `rule`, `jobs`, `seconds`, the sum over the jobs; none where there is no file.
    """
    files = [file for file in sorted(folder.rglob("*.tsv")) if "__" not in file.stem]
    rows = [
        {"rule": file.relative_to(folder).with_suffix("").parts[0], "seconds": pd.read_csv(file, sep="\t")["s"].iloc[0]}
        for file in files
    ]
    table = pd.DataFrame(rows, columns=["rule", "seconds"])
    return table.groupby("rule")["seconds"].agg(jobs="size", seconds="sum").reset_index()


def training_seconds(histories: Iterable[Path]) -> pd.DataFrame:
    """Seconds of each training from its history, {dataset}/{defense}.history.parquet: the sum of its epochs' in all seeds.

    A job's benchmark file does not have them all if the job went on from a checkpoint.

    Returns:
        Columns `rule`, `dataset`, `defense`, `jobs`, `seconds`.

    Raises:
        InputError: as `results.read_table`.
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


def cost_table(trainings: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    """What each training and each other rule took.

    Args:
        trainings: the table of `training_seconds`.
        jobs: the table of `seconds_by_rule`.

    Returns:
        The columns of `trainings`; data set and defense are empty but for trainings.
    """
    rest = jobs[jobs["rule"] != TRAINING].assign(dataset="", defense="")
    return pd.concat([trainings, rest], ignore_index=True)


def page(table: pd.DataFrame, datasets: Mapping[str, str], defenses: Mapping[str, str], device: str) -> list[Section]:
    """The cost as people read it: minutes of each training, then of each rule.

    Args:
        table: the table of `cost_table`.
        datasets: title of each data set, by name, in order.
        defenses: title of each defense, by name, in order.
        device: what the models were trained on.
    """
    trained = table[table["rule"] == TRAINING]
    minutes = (trained["seconds"] / 60).map("{:.1f}".format)
    wide = trained.assign(minutes=minutes).pivot(index="defense", columns="dataset", values="minutes")
    wide = wide.loc[list(defenses), list(datasets)].rename(index=defenses, columns=datasets)
    rules = table.groupby("rule", sort=False)[["jobs", "seconds"]].sum()
    rows = pd.DataFrame({"Jobs": rules["jobs"].astype(str), "Minutes": (rules["seconds"] / 60).map("{:.1f}".format)})
    hours = table["seconds"].sum() / 3600
    note = (
        f"Minutes of wall time, each job on its own share of the machine: {device}. Added up they took {hours:.1f} hours, but "
        "several ran at once. Training is all seeds, without watching and saving. Other work may have slowed a job: compare "
        "trainings by the timing of Table I, where all took turns, and not by these minutes."
    )
    return [
        Section("", note),
        Section("Training", table=wide.rename_axis(index=None, columns=None)),
        Section("By rule", table=rows.rename_axis(index=None)),
    ]
