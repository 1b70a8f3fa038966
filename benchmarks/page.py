"""docs/benchmarks.md: every part's table, and what it means, from the Parquet files that the parts leave."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from advtrain.report.pages import Section, join_markdown
from advtrain.report.paper import SECONDS_PER_EPOCH
from advtrain.training.timing import BASELINE
from benchmarks import overhead
from benchmarks.epochs import PLAIN_LOOP
from benchmarks.evaluation import EXAMPLES as EVALUATED
from benchmarks.evaluation import SHARED
from benchmarks.kept import KEPT, WITHOUT
from benchmarks.measure import quartiles, ratios
from benchmarks.peers import OURS

INTRODUCTION = """`make bench` measured all of this and wrote this page. The contenders of a part run in one process, in turn,
round by round, in an order that turns, after a round that is not counted. They get the same images, model, type and
split into batches. Figures are medians, with quartiles in brackets.

**Only ratios mean something.** A ratio is taken within a round, between two measurements made within moments of each other,
before its median is. Seconds are those of this machine in these minutes, and are shown so that the ratios can be judged.
Where quartiles lie far apart, others used the machine; threads that wait for each other suffer from that most."""

NOT_MEASURED = "Not measured: `make bench` measures all parts."


def page(tables: Mapping[str, pd.DataFrame], made: Mapping[str, Mapping[str, Any]], picture: str) -> str:
    """The page as Markdown.

    Args:
        tables: the table of each part that was measured, by the names of `SECTIONS`.
        made: provenance of each, by the same names.
        picture: the plot's file, as seen from the page.
    """
    sections = [
        Section("", INTRODUCTION),
        Section("", machine(made)),
        Section("", f"![Every part's ratios]({picture})"),
    ]
    for part, (heading, section) in SECTIONS.items():
        sections.append(section(heading, tables[part]) if part in tables else Section(heading, NOT_MEASURED))
    return join_markdown("Benchmarks", sections)


def machine(made: Mapping[str, Mapping[str, Any]]) -> str:
    """What measured, from the tables' provenance: the machine and versions, and the commits if parts were measured apart."""
    sentences = []
    for name, facts in {
        "Machine": [one["config"]["machine"] for one in made.values()],
        "Versions": [_versions({**one["versions"], **one["config"]["versions"]}) for one in made.values()],
        "Commit": [one["commit"] for one in made.values()],
    }.items():
        parts: dict[str, list[str]] = {}
        for part, fact in zip(made, facts, strict=True):
            parts.setdefault(fact, []).append(part)
        told = [fact if len(parts) == 1 else f"{fact} ({', '.join(of)})" for fact, of in parts.items()]
        sentences.append(f"{name}: {'; '.join(told)}.")
    return " ".join(sentences)


def attack(heading: str, frame: pd.DataFrame) -> Section:
    """BIM(10) beside the peers."""
    by = ["device", "threads", "case", "contender"]
    table = _seconds_and_ratio(frame, by, OURS)
    found = frame.groupby(by, sort=False)[["float64_largest_difference", "float64_differing", "float32_differing"]].first()
    table["Largest difference from ours, float64"] = found["float64_largest_difference"].map(_scientific)
    table["Pixels that differ, float64"] = found["float64_differing"].map(_percent)
    table["Pixels that differ, float32"] = found["float32_differing"].map(_percent)
    text = (
        "The same BIM(10) on 1,000 test images of MNIST, without a random start, epsilon 0.3 and 0.03 a step, on "
        "`small_cnn` after a quick epoch. What is timed is what a library's user waits for. ART takes and gives NumPy "
        "arrays, has them already, and has float32 only; foolbox also says which images are fooled, a forward pass more "
        "than the others.\n\nIn float64 right implementations agree to 1e-12. In float32 rounding may flip the sign of a "
        "next-to-zero gradient; a pixel differs if it does by more than 1e-6."
    )
    return Section(heading, text, _readable(table))


def epochs(heading: str, frame: pd.DataFrame) -> Section:
    """Each defense beside a plain loop, and beside FGSM-Adv."""
    slower = quartiles(frame.assign(ratio=ratios(frame, OURS)), ["device", "case", "contender"], "ratio")
    seconds = quartiles(frame, ["device", "case", "contender"], "seconds")
    cost = quartiles(cost_of_defenses(frame), ["device", "case"], "ratio")
    rows = {}
    for device, defense in cost.index:
        rows[device, defense] = {
            "Seconds, ours": _span(seconds.loc[(device, defense, OURS)]),
            "Seconds, plain loop": _span(seconds.loc[(device, defense, PLAIN_LOOP)]),
            "Plain loop / ours": _span(slower.loc[(device, defense, PLAIN_LOOP)]),
            "Ours / FGSM-Adv": _span(cost.loc[(device, defense)]),
            "Paper / FGSM-Adv": _number(SECONDS_PER_EPOCH.get(defense, math.nan) / SECONDS_PER_EPOCH[BASELINE]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["device", "defense"])
    text = (
        "Seconds of an epoch of all 60,000 images in batches of 64 on one CPU thread, from blocks of steps. The plain "
        "loop is what a user of PyTorch writes: a shuffling `DataLoader` over a `TensorDataset`, its own attack loop, two"
        " forward passes, `loss.item()` at every step. Ours is the `Trainer` of the pipeline, which reads its losses at "
        "the end. The last two columns are the price of robustness, ours and the paper's (on a Tesla K20m)."
    )
    return Section(heading, text, _readable(table))


def limit(heading: str, frame: pd.DataFrame) -> Section:
    """FLOP/s of steps beside those of the fastest product."""
    by = ["device", "threads", "contender"]
    frame = frame.assign(speed=frame["flops"] / frame["seconds"] / 1e9)
    speed, share = quartiles(frame, by, "speed"), quartiles(frame, by, "share_of_peak")
    kind = frame.groupby(by, sort=False)["case"].first()
    fastest = speed["median"][kind == "product"].groupby(["device", "threads"]).idxmax()
    shown = speed.index[(kind.loc[speed.index] == "step") | speed.index.isin(list(fastest))]
    table = pd.DataFrame(
        {
            "GFLOP/s": [_span(speed.loc[key], 1) for key in shown],
            "Share of the limit": [_span(100 * share.loc[key], 1, " %") for key in shown],
        },
        index=shown,
    )
    text = (
        "The limit is the fastest float32 product of square matrices (sides of 256 to 2,048, by `torch.mm` and by 1x1 "
        "convolutions) in the same round and on as many threads; the one that was fastest in the median is in the table. "
        "Steps are counted by their convolutions and matrix products only: for an attack step a forward pass and the "
        "images' gradient, for a training step of FGSM-Adv an attack step, then forward and backward of twice the images."
    )
    return Section(heading, text, _readable(table))


def evaluation(heading: str, frame: pd.DataFrame) -> Section:
    """Sharing in the evaluation."""
    by = ["device", "case", "contender"]
    table = _seconds_and_ratio(frame, by, SHARED)
    same = frame.groupby(by, sort=False)["same_figures"].all()
    table["Same figures"] = same.map({True: "yes", False: "no"})
    text = (
        f"On {EVALUATED} test images and one thread. Trace: accuracy after each iterate of one BIM(10), by one attack that"
        " keeps the logits it needed anyway, or by an attack for each iterate. Sweep and trace: all figures of Figures 1 "
        "and 2, where the sweep leaves BIM(10) to the trace."
    )
    return Section(heading, text, _readable(table))


def overheads(heading: str, frame: pd.DataFrame) -> Section:
    """Starts of scripts and Snakemake's own work, and their share in a quick run."""
    starts = frame[frame["case"] == overhead.START]
    start = quartiles(starts, ["contender"], "seconds")
    counted = starts.groupby("contender", sort=False)[["jobs", "quick_seconds"]].first().loc[start.index]
    table = pd.DataFrame(
        {
            "Jobs": counted["jobs"].astype(str),
            "Seconds of a start": start.apply(_span, axis=1),
            "Seconds of all starts": (counted["jobs"] * start["median"]).map(lambda value: f"{value:.1f}"),
            "Seconds of all jobs": counted["quick_seconds"].map(lambda value: "-" if math.isnan(value) else f"{value:.0f}"),
        },
        index=start.index,
    )
    text = (
        "Start: `python3 src/<script>.py --help`, for each script of `make quick`. Scheduling: the real Snakefile with "
        f"the quick configuration on {overhead.CORES} cores, where `python3` is a stub that only makes the output files; "
        f"shells, Snakemake's own start and its look at every file are in it.\n\n{shares_of_overhead(frame)}"
    )
    return Section(heading, text, _readable(table.rename_axis("script")))


def shares_of_overhead(frame: pd.DataFrame) -> str:
    """What starts and scheduling add up to, and their share in a quick run if one is at hand."""
    starts, whole = frame[frame["case"] == overhead.START], frame[frame["case"] == overhead.SCHEDULING]
    scheduling, jobs, working = whole[["seconds", "jobs", "quick_seconds"]].median()
    start = starts.groupby("contender")["seconds"].median() * starts.groupby("contender")["jobs"].first()
    text = (
        f"All {jobs:.0f} jobs: {start.sum():.0f} s of starts, and {scheduling:.0f} s of scheduling, "
        f"{1000 * scheduling / jobs:.0f} ms a job."
    )
    if math.isnan(working):
        return f"{text} No quick run at hand to compare them with."
    wall = working / overhead.CORES + scheduling
    return (
        f"{text} The jobs of a quick run took {working:.0f} s: {100 * start.sum() / working:.0f} % of that is starts. If "
        f"they fill {overhead.CORES} cores and none hides the scheduling, it is {100 * scheduling / wall:.0f} % of the run."
    )


def growth(heading: str, frame: pd.DataFrame) -> Section:
    """Time and memory against the size of the data and of the batch."""
    by = ["device", "images", "batch_size", "seeds"]
    smallest = frame["contender"].iloc[0]
    timed = frame.assign(case="all")
    timed = timed.assign(ratio=ratios(timed, smallest))
    ratio, seconds = quartiles(timed, by, "ratio"), quartiles(timed, by, "seconds")
    memory = timed.groupby(by, sort=False)[["loaded_bytes", "peak_bytes", "cuda_bytes"]].first()
    table = pd.DataFrame(
        {
            "Seconds an epoch": seconds.apply(_span, axis=1),
            "Relative to the first": ratio.apply(_span, axis=1),
            **{
                label: memory[column].map(lambda value: "-" if pd.isna(value) else f"{value / 2**20:,.0f} MiB")
                for label, column in (
                    ("Peak when loaded", "loaded_bytes"),
                    ("Peak when trained", "peak_bytes"),
                    ("CUDA's peak", "cuda_bytes"),
                )
            },
        }
    )
    text = (
        "Whole epochs of Proposed on one thread; several seeds as one batched network, as on CUDA, where a CPU is given them "
        "one by one. Memory is the largest resident set of a fresh process, when it has read MNIST and when it has trained for "
        "three steps: where both are the same, reading took most."
    )
    return Section(heading, text, _readable(table))


def kept(heading: str, frame: pd.DataFrame) -> Section:
    """What each optimisation gains."""
    without = frame.assign(ratio=ratios(frame, OURS))
    gain = quartiles(without[without["contender"] == WITHOUT], ["device", "case"], "ratio")
    text = (
        "The pipeline as it is against the pipeline without the optimisation, on one thread, at batch 64 where there is one: "
        "above 1 it gains. What concerns a process's allocator or its start is measured in processes of their own."
    )
    table = _readable(gain.apply(_span, axis=1).to_frame("Without / as it is"))
    return Section(heading, text, table.assign(**{"What it is": [KEPT.get(case, "") for _, case in gain.index]}))


def cost_of_defenses(frame: pd.DataFrame) -> pd.DataFrame:
    """Our rows of `epochs`, and `ratio` to FGSM-Adv within the round."""
    ours = frame[frame["contender"] == OURS]
    return ours.assign(ratio=ratios(ours.assign(contender=ours["case"], case=OURS), BASELINE))


SECTIONS: dict[str, tuple[str, Callable[[str, pd.DataFrame], Section]]] = {
    "attack": ("BIM(10) beside other libraries", attack),
    "epochs": ("Training epochs beside a plain loop", epochs),
    "limit": ("Distance to the machine's limit", limit),
    "evaluation": ("What the evaluation shares", evaluation),
    "overhead": ("Starting and scheduling", overheads),
    "growth": ("Growth with images, batch and seeds", growth),
    "kept": ("What each optimisation gains", kept),
}


def _seconds_and_ratio(frame: pd.DataFrame, by: list[str], baseline: str) -> pd.DataFrame:
    ratio = quartiles(frame.assign(ratio=ratios(frame, baseline)), by, "ratio")
    seconds = quartiles(frame, by, "seconds")
    return pd.DataFrame(
        {"Seconds": seconds.apply(_span, axis=1), f"Relative to {baseline}": ratio.apply(_span, axis=1)}, index=seconds.index
    )


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the parts of its index as columns of text."""
    index = table.index.to_frame(index=False).astype(str)
    return table.set_axis(pd.Index([" · ".join(row) for row in index.to_numpy()], name=" · ".join(index.columns)))


def _span(row: pd.Series, digits: int = 2, unit: str = "") -> str:
    return f"{row['median']:.{digits}f}{unit} ({row['lower']:.{digits}f} to {row['upper']:.{digits}f})"


def _versions(numbers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _scientific(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0e}" if value else "0"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.4f} %" if value else "0 %"
