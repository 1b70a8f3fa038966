"""Self-test and benchmark of a CUDA device, within three minutes with compilation: what `make gpu` runs."""

import dataclasses
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from advtrain.attacks.gradient import bim, cross_entropy, input_gradient
from advtrain.attacks.pgd import pgd
from advtrain.defenses.base import mixture
from advtrain.fast.choice import frozen, in_training
from advtrain.networks.ensemble import Ensemble
from advtrain.networks.plain import initialise, new_network, predict
from advtrain.report.pages import Section, join_markdown
from advtrain.results.atomic import write_text
from advtrain.results.parquet import write_table
from advtrain.results.provenance import Provenance, made_by, provenance_line
from advtrain.system.device import numerics, prepare_device, synchronise
from advtrain.system.errors import Stopped
from advtrain.training.trainer import Trainer
from benchmarks.setup import CONFIG, REPOSITORY, Setup

BATCH, MANY, SEEDS, STEPS = 64, 1000, 5, 14
BUDGET = 170.0
"""Seconds after which no further case starts."""
EPSILON = 0.3
MULTIPLICATIONS = 196 * 16 * 16 + 49 * 32 * 256 + 1568 * 100 + 100 * 10
"""Of small_cnn's forward pass, for an image; an attack step takes twice as many, and as many additions."""

INTRODUCTION = """`snakemake --cores 4 --resources gpu=1 -- all` runs everything on one GPU: trainings one after the
other, each with all its seeds (those of a residual network one by one), evaluations up to four at once (one by one with
`device: cuda`). `device: auto` takes CUDA, else MPS, else the CPU; on CUDA a training step is one CUDA graph, and attacks
take as many images at once as fill the device.

One training does not fill a large GPU. With CUDA's multi-process service (`nvidia-cuda-mps-control -d`) and
`--resources gpu=4`, four at once take 0.70 of the time; without it they gain nothing.

[Triton kernels](../src/advtrain/fast/attack_kernels.py) compute `small_cnn` and `madry_cnn`. Both
keep a gradient zero that is exactly zero. cuDNN does not, and computes residual networks and those of your own. A
defense whose step cannot be recorded needs `cuda_graph: false`.

`make gpu` tests and measures this in three minutes."""

LATER = """One H200, commit 82efa60. Since the measurements above (whose copy is "dirty" for a missing
`results/.gitkeep`) Adam has become one launch, Proposed writes its examples back without a sort, and `madry_cnn` has measured
tiles. The self-test passed again. Milliseconds of a training step, five seeds:

| | above | now |
|:--|--:|--:|
| Vanilla | 0.168 | 0.152 |
| FGSM-Adv | 0.320 | 0.288 |
| ATDA | 0.487 | 0.452 |
| Proposed | 0.377 | 0.297 |
| BIM(10)-Adv | 0.734 | 0.700 |
| BIM(30)-Adv | 1.65 | 1.63 |
| Proposed, `madry_cnn` | 2.92 | 2.59 |

All trainings of `config/config.yaml` (six classifiers, two data sets, five seeds, 80 epochs) took 7 min 30 s, four at once,
PGD, the sweep and the trace of those that were done included."""

EARLIER = """One H100, torch 2.11, Triton 3.6, MNIST, `small_cnn`, batches of 64: commit d4ec0a2, and the kernels'
prototype.

| microseconds | eager | graph | prototype |
|:--|--:|--:|--:|
| attack step, 1 seed | 2,350 | 157 | 29.9 |
| attack step, 5 seeds | | 281 | 47.5 |
| loss and weight gradients, 5 seeds | | 1,000 | 178 |
| BIM(30)-Adv step, 5 seeds | 63,400 | 9,620 | 1,650 |
| all trainings of the paper, by sum | 287 min | 46 min | 9 min |

BIM(10) on 64 images: torchattacks 23.8 ms, the project 23.5, from a graph 1.7.

With cuDNN one seed alone was another experiment than among five. At 98.6 to 99.6% of the pixels whose true gradient is
zero, half of all, it was not; after 14 steps of FGSM-Adv the weights were 36% apart (Vanilla: 8e-7)."""

Case = tuple[str, str, Callable[[], float], str, float | None]
"""Part, what is measured, how, its unit, and what it may be at most in the self-test."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """The images, and the device."""

    setup: Setup
    device: torch.device

    def batch(self, seeds: int, images: int) -> tuple[Tensor, Tensor]:
        """Training images [S, B, 1, 28, 28], other ones for each seed, and their labels."""
        data = self.setup.training.first(seeds * images).to(self.device)
        return data.x.unflatten(0, (seeds, images)), data.y.unflatten(0, (seeds, images))

    def networks(self, name: str, seeds: int) -> list[nn.Module]:
        """Networks of Glorot weights, with biases that switch units off over black, as training does."""
        generator = torch.Generator().manual_seed(0)
        made = [new_network(name) for _ in range(seeds)]
        for network in made:
            initialise(network, generator)
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                    nn.init.uniform_(layer.bias, -0.2, 0, generator=generator)
        return [network.to(self.device) for network in made]

    def trainer(self, defense: str, seeds: int, *, graph: bool, network: str = "small_cnn") -> Trainer:
        """A training of the pipeline on the images of `STEPS` steps."""
        plan = dataclasses.replace(self.setup.plan(defense), network=network, seeds=tuple(range(seeds)), epochs=1)
        data = self.setup.training.first(STEPS * plan.batch_size).to(self.device)
        return Trainer(plan, data, plan.seeds, cuda_graph=graph and self.device.type == "cuda")

    # The self-test.

    def exact(self, name: str, seeds: int, images: int) -> Iterator[Case]:
        """The input gradient beside that of float64: its error, its signs, and whether its zeros stand still."""
        x, y = self.batch(seeds, images)
        plain = self.networks(name, seeds)
        seen = frozen(Ensemble(plain) if seeds > 1 else plain[0])
        ours = input_gradient(seen, *((x, y) if seeds > 1 else (x[0], y[0])))[0].view_as(x).cpu()
        pairs = list(zip([network.cpu() for network in plain], x.cpu(), y.cpu(), strict=True))
        single = torch.stack([input_gradient(network, *pair)[0] for network, *pair in pairs])
        exact = torch.stack([input_gradient(network.double(), a.double(), b)[0] for network, a, b in pairs])

        def error(gradient: Tensor) -> float:
            return float((gradient - exact).norm() / exact.norm())

        def flipped(gradient: Tensor) -> float:
            return float((gradient.sign() != exact.sign())[exact != 0].double().mean())

        case = f"{name}, {seeds} seed{'s' * (seeds > 1)}, {images} images"
        yield "self-test", f"relative error of the gradient: {case}", lambda: error(ours), "", max(2e-6, 3 * error(single))
        most = 2 * flipped(single) + 1e-5
        yield "self-test", f"signs other than float64's: {case}", lambda: flipped(ours), "share", most
        zeros = float((exact == 0).double().mean())
        moved = float((ours != 0)[exact == 0].double().sum())
        yield "self-test", f"zeros that move, of {zeros:.1%} of the pixels: {case}", lambda: moved, "pixels", 0.0

    def own_convolutions(self) -> float:
        """The same of torch's own convolutions, for comparison: the share of zeros that move."""
        (network,), (x, y) = self.networks("small_cnn", 1), self.batch(1, MANY)
        x = x[0].requires_grad_()
        (ours,) = torch.autograd.grad(cross_entropy(network(x), y[0]).sum(), x)
        exact, _ = input_gradient(network.cpu().double(), x.detach().cpu().double(), y[0].cpu())
        return float((ours.cpu() != 0)[exact == 0].double().mean())

    def weights_after(self, trainer: Trainer, stop_after: int | None = None) -> dict[int, dict[str, Tensor]]:
        """The weights after an epoch; with `stop_after` it is stopped after so many steps, and another training resumes it."""
        if stop_after:
            steps = itertools.count(1)
            try:
                trainer.train_epoch(lambda: "asked to" if next(steps) == stop_after else None)
            except Stopped:
                state = trainer.state_dict()
            trainer = Trainer(trainer.plan, trainer.data, trainer.seeds, cuda_graph=trainer.cuda_graph)
            trainer.load_state_dict(state)
        trainer.train_epoch()
        return trainer.weights()

    def same_training(self, defense: str) -> Iterator[Case]:
        """A training from a graph beside the eager one, one that is stopped and resumed, and one seed beside five."""
        graph = self.weights_after(self.trainer(defense, SEEDS, graph=True))

        def differing(other: dict[int, dict[str, Tensor]]) -> float:
            return float(sum((other[seed][name] != w).sum() for seed in other for name, w in graph[seed].items()))

        others: dict[str, Callable[[], dict[int, dict[str, Tensor]]]] = {
            "weights that differ without the graph": lambda: self.weights_after(self.trainer(defense, SEEDS, graph=False)),
            "weights that differ after a stop": lambda: self.weights_after(
                self.trainer(defense, SEEDS, graph=True), STEPS // 2
            ),
        }
        for name, other in others.items():
            yield "self-test", f"{name}: {defense}", lambda other=other: differing(other()), "", 0.0  # type: ignore[misc]

        def alone() -> float:
            one = self.weights_after(self.trainer(defense, 1, graph=True))[0]
            pairs = [(one[name].flatten(), w.flatten()) for name, w in graph[0].items()]
            a, b = (torch.cat([pair[i] for pair in pairs]) for i in (0, 1))
            return float((a - b).norm() / b.norm())

        yield "self-test", f"relative distance of a seed alone from the same among five: {defense}", alone, "", 1e-3

    # The benchmark.

    def seconds(self, run: Callable[[], object], rounds: int) -> float:
        """Median of a call's time over some rounds, after one that does not count."""
        times = []
        for _ in range(rounds + 1):
            synchronise(self.device)
            start = time.perf_counter()
            run()
            synchronise(self.device)
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])

    def microseconds(self, run: Callable[[], object]) -> float:
        """Microseconds of a call, on CUDA from a graph of it."""
        run()
        return 1e6 * self.seconds(_captured(run) if self.device.type == "cuda" else run, 15)

    def eager(self, run: Callable[[], object]) -> float:
        """Milliseconds of a call."""
        return 1e3 * self.seconds(run, 7)

    def attack_step(self, seeds: int, images: int) -> float:
        """Microseconds of a step of BIM(10), layout of weights and images included."""
        (x, y), plain = self.batch(seeds, images), self.networks("small_cnn", seeds)
        network = Ensemble(plain) if seeds > 1 else plain[0]
        if seeds == 1:
            x, y = x[0], y[0]
        return self.microseconds(lambda: bim(network, x, y, epsilon=EPSILON, step_size=EPSILON / 10, iterations=10)) / 10

    def gradients(self, seeds: int) -> float:
        """Microseconds of loss and weight gradients of clean and adversarial images."""
        x, y = self.batch(seeds, BATCH)
        network = Ensemble(self.networks("small_cnn", seeds))
        seen, weights = in_training(network), list(network.parameters())
        return self.microseconds(lambda: torch.autograd.grad(mixture(seen, x, x, y).loss.sum(), weights))

    def step(self, defense: str, seeds: int, network: str = "small_cnn") -> float:
        """Milliseconds of a training step."""
        trainer = self.trainer(defense, seeds, graph=True, network=network)
        minibatches = list(itertools.islice(trainer.endless_minibatches(), STEPS))

        def run() -> None:
            for index in minibatches:
                trainer.run_step(index)

        return self.eager(run) / STEPS

    def peak(self, defense: str) -> float:
        """Gigabytes at the peak of a training of five seeds, data included."""
        torch.cuda.reset_peak_memory_stats()
        self.step(defense, SEEDS)
        return torch.cuda.max_memory_allocated() / 1e9

    def pgd_seconds(self, images: int = 10_000) -> float:
        """Seconds of 40 steps on images that all stand: labels are what the network says, and the budget is small."""
        (network,) = self.networks("small_cnn", 1)
        x = self.setup.test.first(images).to(self.device).x
        y = predict(network, x).argmax(dim=1)

        def run() -> None:
            pgd(
                network, x, y, loss=cross_entropy, epsilon=1e-4, step_size=1e-5, iterations=40, starts=[x], batch_size=len(x)
            )  # fmt: skip

        return self.seconds(run, 3)

    def libraries(self, images: int) -> Iterator[Case]:
        """Milliseconds of BIM(10) without a graph, as a user calls it: ours, torchattacks, foolbox."""
        (network,), (x, y) = self.networks("small_cnn", 1), self.batch(1, images)
        x, y = x[0].contiguous(), y[0].contiguous()
        step = EPSILON / 10
        runs: dict[str, Callable[[], object]] = {
            "ours": lambda: bim(network, x, y, epsilon=EPSILON, step_size=step, iterations=10)
        }
        if find_spec("torchattacks"):
            import torchattacks

            attack = torchattacks.BIM(network, eps=EPSILON, alpha=step, steps=10)
            runs["torchattacks"] = lambda: attack(x, y)
        if find_spec("foolbox"):
            from foolbox.attacks import LinfBasicIterativeAttack
            from foolbox.models import PyTorchModel

            model = PyTorchModel(network.eval(), bounds=(0, 1), device=self.device)
            attacked = LinfBasicIterativeAttack(abs_stepsize=step, steps=10, random_start=False)
            runs["foolbox"] = lambda: attacked(model, x, y, epsilons=EPSILON)
        for name, run in runs.items():
            yield "libraries", f"BIM(10) on {images} images: {name}", lambda run=run: self.eager(run), "ms", None  # type: ignore[misc]

    def start(self) -> float:
        """Seconds until a fresh process that imports what a training does can use the device."""
        words = f"import torch, train; train.prepare_device('{self.device.type}'); torch.zeros(1, device='{self.device.type}')"
        return self.eager(lambda: subprocess.run([sys.executable, "-c", words], check=True, cwd=REPOSITORY / "src")) / 1e3

    def rate(self, n: int = 8192) -> float:
        """What the device does in float32, in TFLOP/s: a large product."""
        a = torch.rand(n, n, device=self.device)
        return 2 * n**3 / (1e-3 * self.eager(lambda: a @ a)) / 1e12

    def achieved(self) -> float:
        """What a step of an attack on many images of five seeds does, in TFLOP/s."""
        return 4 * MULTIPLICATIONS * SEEDS * MANY / (1e-6 * self.attack_step(SEEDS, MANY)) / 1e12

    def cases(self) -> Iterator[Case]:
        """All, what matters most first."""
        yield from self.exact("small_cnn", 1, BATCH)
        yield from self.exact("small_cnn", SEEDS, BATCH)
        yield from self.same_training("proposed")
        for seeds, images in ((SEEDS, BATCH), (1, BATCH), (SEEDS, MANY), (1, MANY)):
            case = f"attack step, {seeds} seed{'s' * (seeds > 1)}, {images} images"
            yield "speed", case, lambda seeds=seeds, images=images: self.attack_step(seeds, images), "us", None  # type: ignore[misc]
        yield "speed", f"loss and weight gradients, {SEEDS} seeds", lambda: self.gradients(SEEDS), "us", None
        for defense, seeds in itertools.product(CONFIG["defenses"], (SEEDS, 1)):
            case = f"training step, {defense}, {seeds} seed{'s' * (seeds > 1)}"
            yield "speed", case, lambda defense=defense, seeds=seeds: self.step(defense, seeds), "ms", None  # type: ignore[misc]
        yield "speed", "40 steps of PGD on 10,000 standing images", self.pgd_seconds, "s", None
        yield from self.libraries(BATCH)
        yield from self.libraries(MANY)
        yield "speed", "float32 rate of a large product", self.rate, "TFLOP/s", None
        yield "speed", f"float32 rate of an attack step, {SEEDS} seeds, {MANY:,} images", self.achieved, "TFLOP/s", None
        yield "speed", "start of a job: imports and CUDA", self.start, "s", None
        yield "memory", "peak, proposed, five seeds", lambda: self.peak("proposed"), "GB", None
        yield "self-test", "zeros that move with torch's own convolutions", self.own_convolutions, "share", None
        yield from self.exact("small_cnn", 1, MANY)
        yield from self.exact("madry_cnn", 1, BATCH)
        yield from self.exact("madry_cnn", SEEDS, BATCH)
        for defense in ("proposed", "bim10_adv"):
            case = f"training step, {defense}, madry_cnn, {SEEDS} seeds"
            yield "speed", case, lambda defense=defense: self.step(defense, SEEDS, "madry_cnn"), "ms", None  # type: ignore[misc]
        for defense in CONFIG["defenses"]:
            if defense != "proposed":
                yield from self.same_training(defense)


def _captured(run: Callable[[], object]) -> Callable[[], object]:
    """A graph of a call, after one on a side stream."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def measure(cases: Iterator[Case], budget: float = BUDGET) -> pd.DataFrame:
    """A row for each case: `part`, `case`, `value`, `unit`, `limit` (NaN where none is set) and `passed`."""
    rows = []
    end = time.monotonic() + budget
    for part, case, run, unit, limit in cases:
        if time.monotonic() > end:
            click.echo(f"time is up before: {case}", err=True)
            break
        value = run()
        rows.append((part, case, value, unit, limit, limit is None or value <= limit))
        click.echo(f"{'ok' if rows[-1][-1] else 'FAILED'}  {case}: {value:.4g} {unit}", err=True)
    frame = pd.DataFrame(rows, columns=["part", "case", "value", "unit", "limit", "passed"])
    return frame.astype({"limit": float})


def page(table: pd.DataFrame, made: Provenance) -> str:
    """The page as Markdown."""
    measured = provenance_line(f"Measured with torch {made.record['versions']['torch']}", [made])
    sections = [Section("", f"{INTRODUCTION}\n\n{measured}.")]
    titles = {"self-test": "Self-test", "speed": "Speed", "libraries": "Beside other libraries", "memory": "Memory"}
    for part, title in titles.items():
        rows = table[table["part"] == part]
        cells = [f"{row.value:.3g} {row.unit}".strip() for row in rows.itertuples()]
        shown = pd.DataFrame({"measured": cells}, index=rows["case"])
        if part == "self-test":
            shown["at most"] = ["" if pd.isna(row.limit) else f"{row.limit:.2g}" for row in rows.itertuples()]
            shown["passed"] = ["yes" if row.passed else "NO" for row in rows.itertuples()]
        sections.append(Section(title, "", shown))
    return join_markdown("On a GPU", [*sections, Section("The paper's scale", LATER), Section("Before the kernels", EARLIER)])


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of MNIST's four IDX files, uncompressed.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the table, Parquet.")
@click.option("--page", "page_file", required=True, type=click.Path(path_type=Path), help="The page, Markdown.")
def main(data: Path, results: Path, page_file: Path) -> None:
    """Test and measure a CUDA device; exit status 1 if a test fails."""
    if not torch.cuda.is_available():
        click.echo("skipped: there is no CUDA device on this machine", err=True)
        return
    device = prepare_device("cuda")
    table = measure(Bench(Setup.load(data), device).cases())
    made = made_by({"batch_size": BATCH, "seeds": SEEDS, "steps": STEPS}, numerics=numerics(device))
    write_table(pa.Table.from_pandas(table, preserve_index=False), results / "gpu.parquet", made)
    write_text(page_file, page(table, made))
    if not table["passed"].all():
        raise click.ClickException("\n".join(["these tests failed:", *table["case"][~table["passed"]]]))


if __name__ == "__main__":
    main()
