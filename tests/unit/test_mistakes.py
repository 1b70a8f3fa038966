"""Fifteen mistakes that attack libraries and robustness papers make, in the order in which a reader would meet them.

Each test states a property, finds it in our code, makes the mistake, and finds that the property is gone: so the check sees it.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advtrain.attacks import gradient, pgd, square
from advtrain.attacks.gradient import bim, bim_steps, cross_entropy, fgsm, project
from advtrain.attacks.pgd import Attacked, Pgd, random_starts
from advtrain.data.examples import Examples
from advtrain.evaluation import auto_attack
from advtrain.evaluation.paper_attacks import Trace, trace_bim
from advtrain.evaluation.pgd import PgdSettings
from advtrain.networks.plain import initialise, predict, small_cnn
from advtrain.training import timing
from advtrain.training import trainer as training_loop
from advtrain.training.plan import EpochRecord
from advtrain.training.run import train
from advtrain.training.timing import Timing
from advtrain.training.trainer import Trainer
from agreement import agree
from synthetic import Linear, Noisy
from trainings import plan

RULES = Path(__file__).parents[2] / "rules"
TOLERANCE = 1e-6

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Adversarial examples of a model, images and labels."""


def ours(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return bim(model, x, y, epsilon=0.3, step_size=0.1, iterations=5)


def written_anew(step: Callable[[Tensor], Tensor] = torch.sign, **settings: str) -> Attack:
    """BIM as another hand would write it, with the direction of a step, and the loss's reduction, to choose."""

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        delta = torch.zeros_like(x)
        for _ in range(5):
            x_adv = (x + delta).requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(model(x_adv), y, **settings), x_adv)
            delta = (delta + 0.1 * step(gradient)).clamp(-0.3, 0.3)
            delta = (x + delta).clamp(0, 1) - x
        return x + delta

    return attack


class Brightness(nn.Module):
    """Says 1 where an image is brighter than a half on average, else 0."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1).mean(dim=1)
        return torch.stack([0.5 - bright, bright - 0.5], dim=1)


def levels(*brightness: float) -> Tensor:
    """Images of one pixel."""
    return torch.tensor(brightness).view(-1, 1, 1, 1)


def pgd_in_place(x: Tensor, y: Tensor, starts: list[Tensor]) -> Attacked:
    """PGD on `Brightness` whose steps are too small to matter: only the starts do."""
    budget = {"epsilon": 0.3, "step_size": 1e-9, "iterations": 1}
    return pgd.pgd(Brightness(), x, y, loss=cross_entropy, **budget, starts=starts, batch_size=len(x))


def weights(seed: int, data: Examples) -> Tensor:
    """All weights after an epoch with a seed."""
    trained = train(plan("proposed", epochs=1, seeds=(seed,)), data.first(32)).weights[seed]
    return torch.cat([tensor.flatten() for tensor in trained.values()])


def test_01_the_last_update_is_never_evaluated(examples: Examples) -> None:
    sign = torch.ones(28, 28)
    sign[14:] = -1
    model, x, y = Linear(0.01 * sign), 0.5 + 0.25 * sign.expand(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)

    def holds(right_after: Callable[[], list[int]]) -> bool:
        """Three steps of 0.1 give four iterates, and it is the last that crosses the 0.25 to the boundary."""
        return right_after() == [4, 4, 4, 0]

    def right_where_a_step_starts() -> list[int]:
        steps = bim_steps(model, x, y, epsilon=0.3, step_size=0.1, iterations=3)
        return [int((logits.argmax(dim=1) == y).sum()) for _, logits in steps]

    trace = Trace(epsilon=0.3, examples=4, subset_seed=0, iterations=3)
    assert holds(lambda: [row["correct"] for row in trace_bim(model, Examples(x, y), trace, batch_size=4)])
    assert not holds(right_where_a_step_starts)

    def reaches_epsilon(steps_taken: int) -> bool:
        x_adv = bim(model, x, y, epsilon=0.3, step_size=0.1, iterations=steps_taken)
        return (x_adv - x).abs().max().item() == pytest.approx(0.3, abs=TOLERANCE)

    assert reaches_epsilon(3)
    assert not reaches_epsilon(2)


def test_02_the_attack_s_gradients_leak_into_the_weights() -> None:
    def holds(attack: Attack) -> bool:
        model = Linear(torch.ones(1, 4, 4))
        attack(model, torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 1]))
        return model.w.grad is None

    def backward_through_everything(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x_adv = x.clone().requires_grad_()
        F.cross_entropy(model(x_adv), y).backward()
        return x + 0.3 * x_adv.grad.sign()

    assert holds(ours)
    assert not holds(backward_through_everything)


def test_03_the_box_is_kept_inside_the_graph_or_only_at_the_end() -> None:
    class TurnsRound(nn.Module):
        """The gradient drives pixel p out of the box until q has passed 0.65, then into it: p has to be at its face by then."""

        def forward(self, x: Tensor) -> Tensor:
            p, q = x.flatten(1).T
            f = p * (q - 0.65) + q
            return torch.stack([f, torch.full_like(f, 0.83)], dim=1)

    def holds(attack: Attack) -> bool:
        x, y = torch.tensor([[[[0.0, 0.5]]]]), torch.tensor([1])
        return bool((predict(TurnsRound(), attack(TurnsRound(), x, y)).argmax(dim=1) != y).all())

    def ascend(x_adv: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
        x_adv = x_adv.detach().requires_grad_()
        return (x_adv + 0.1 * torch.autograd.grad(loss(x_adv), x_adv)[0].sign()).detach()

    def clamped_in_the_graph(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x_adv = x
        for _ in range(5):
            x_adv = ascend(x_adv, lambda moved: F.cross_entropy(model(project(moved, x, 0.3)), y))
        return project(x_adv, x, 0.3)

    def projected_at_the_end(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x_adv = x
        for _ in range(5):
            x_adv = ascend(x_adv, lambda moved: F.cross_entropy(model(moved), y))
        return project(x_adv, x, 0.3)

    assert holds(ours)
    assert not holds(clamped_in_the_graph), "it looks robust"
    assert not holds(projected_at_the_end), "it looks robust"


def test_04_the_loss_is_averaged_over_the_batch() -> None:
    def holds(attack: Attack) -> bool:
        """An image's adversarial example is the same alone and among 4,095 others, also where its gradient is tiny."""
        model, x, y = Linear(torch.full((1, 2, 2), 1e-42)), torch.full((4096, 1, 2, 2), 0.5), torch.ones(4096).long()
        return torch.equal(attack(model, x, y)[:1], attack(model, x[:1], y[:1]))

    assert holds(ours)
    assert holds(written_anew(reduction="sum"))
    assert not holds(written_anew(reduction="mean"))


def test_05_the_last_restart_counts_and_not_the_worst() -> None:
    x, y = levels(0.6, 0.9), torch.tensor([1, 1])
    starts = [levels(0.55, 0.8), levels(0.45, 0.7), levels(0.58, 0.85)]

    def holds(attack: Callable[[Tensor, Tensor, list[Tensor]], Attacked]) -> bool:
        """The second start fools the model on the first image, and comes nearest to it on the second."""
        attacked = attack(x, y, starts)
        worst = torch.allclose(attacked.x_adv, levels(0.45, 0.7), atol=TOLERANCE)
        return attacked.robust[-1].tolist() == [False, True] and worst

    assert holds(pgd_in_place)
    assert not holds(lambda x, y, starts: [pgd_in_place(x, y, [start]) for start in starts][-1])


def test_06_what_the_model_gets_wrong_without_an_attack_counts_as_robust() -> None:
    x, y = levels(0.1, 0.6, 0.4), torch.tensor([1, 1, 1])
    start = levels(0.1, 0.6, 0.6)
    clean = predict(Brightness(), x).argmax(dim=1)

    def holds(robust: Tensor) -> bool:
        return bool((robust <= (clean == y)).all())

    assert holds(pgd_in_place(x, y, [start]).robust[-1])
    assert not holds(pgd_in_place(x, clean, [x]).robust[-1]), "the attack is given the model's own answers as labels"
    assert not holds(predict(Brightness(), start).argmax(dim=1) == y), "the attack puts an image right"


def test_07_a_frozen_layer_is_thawed() -> None:
    def holds(attack: Attack) -> bool:
        model = Noisy().train()
        model.frozen.eval()
        before = [module.training for module in model.modules()]
        attack(model, torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 1]))
        return [module.training for module in model.modules()] == before

    def back_to_training_mode(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x_adv = ours(model.eval(), x, y)
        model.train()
        return x_adv

    assert holds(ours)
    assert not holds(back_to_training_mode)


def test_08_a_budget_by_default_that_does_not_reach_epsilon() -> None:
    def holds(function: Callable[..., object]) -> bool:
        parameters = inspect.signature(function).parameters.values()
        named = ("y", "epsilon", "step_size", "iterations", "restarts")
        return all(parameter.default is inspect.Parameter.empty for parameter in parameters if parameter.name in named)

    def by_default(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float, step_size: float = 0.01) -> Tensor:
        return bim(model, x, y, epsilon=epsilon, step_size=step_size, iterations=10)

    functions = [member for module in (gradient, pgd, square) for member in inspect.getmembers(module, inspect.isfunction)]
    public = {function for name, function in functions if not name.startswith("_")}
    assert {bim, bim_steps, fgsm, pgd.pgd, random_starts, square.square} <= public
    assert [function.__name__ for function in (*public, Pgd, PgdSettings) if not holds(function)] == []
    assert not holds(by_default)


def test_09_an_example_at_epsilon_is_over_it_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    def holds() -> bool:
        """AutoAttack's examples count, though in float32 the length of a step of epsilon may be above epsilon."""
        x = torch.linspace(0.21, 0.49, 100).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
        package = SimpleNamespace(epsilon=0.3, model=Brightness())
        package.run_standard_evaluation = lambda x, y, batch_size: (x + 0.3, y)
        data = Examples(x, torch.zeros(100, dtype=torch.int64))
        standing = torch.ones(100, dtype=torch.bool)
        return not auto_attack._withstands(package, data, torch.arange(100), standing).any()

    assert holds()
    monkeypatch.setattr("advtrain.attacks.gradient.TOLERANCE", 0.0)
    assert not holds()


def test_10_right_attacks_are_held_to_the_same_bits() -> None:
    network = small_cnn()
    initialise(network, torch.Generator().manual_seed(0))
    x = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x[:, :, :8] = 0
    y = torch.arange(30) % 10

    def holds(same: Callable[[Tensor, Tensor], bool], dtype: torch.dtype) -> bool:
        """The comparison tells two right attacks, which round differently, from one that moves where the gradient is zero."""
        found, right, wrong = (
            attack(network.to(dtype), x.to(dtype), y)
            for attack in (ours, written_anew(), written_anew(lambda gradient: 2.0 * (gradient >= 0) - 1))
        )
        return same(found, right) and not same(found, wrong)

    assert holds(agree, torch.float64)
    assert holds(agree, torch.float32)
    assert not holds(torch.equal, torch.float32), "the two round differently"
    assert not holds(lambda found, other: bool((found - other).abs().max() <= 0.6), torch.float32), "all would pass"


def test_11_the_global_random_state_is_reseeded(examples: Examples) -> None:
    def holds(attack: Callable[[Examples], object]) -> bool:
        torch.manual_seed(1)
        before = torch.get_rng_state()
        attack(examples.first(2))
        return torch.equal(torch.get_rng_state(), before)

    def reseeded(data: Examples) -> Tensor:
        torch.manual_seed(0)
        return project(data.x + 0.6 * torch.rand(data.x.shape) - 0.3, data.x, 0.3)

    strong = Pgd(epsilon=0.3, step_size=0.1, iterations=1, restarts=2, seed=0, batch_size=2)
    assert holds(lambda data: strong.attack(Brightness(), data, "margin"))
    assert holds(lambda data: train(plan("proposed", epochs=1), data))
    assert not holds(reseeded)


def test_12_seeds_are_ignored(examples: Examples) -> None:
    def holds(run: Callable[[int], Tensor]) -> bool:
        return torch.equal(run(0), run(0)) and not torch.equal(run(0), run(1))

    def start(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.cat(list(random_starts(examples.x, epsilon=0.3, restarts=2, generator=generator)))

    assert holds(start)
    assert holds(lambda seed: weights(seed, examples))
    assert not holds(lambda seed: start(0)), "every seed is the same"
    assert not holds(lambda seed: torch.rand(9)), "a seed does not repeat"


def test_13_a_resumed_run_has_lost_some_of_its_state(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    def kill(record: EpochRecord, done: int) -> None:
        if done == 3:
            raise KilledError

    settings = plan("proposed")
    (seed,) = settings.seeds
    states: list[dict] = []
    with pytest.raises(KilledError):
        train(settings, examples, save=lambda state: states.append(copy.deepcopy(state)), watch=kill)
    straight = train(settings, examples).weights[seed]
    load_state_dict = Trainer.load_state_dict

    def holds(lost: str | None) -> bool:
        """A run resumed after the second epoch, with a part of its state as a new run has it, ends with the same bits."""

        def load(trainer: Trainer, state: dict) -> None:
            load_state_dict(trainer, {key: trainer.state_dict()[key] if key == lost else state[key] for key in state})

        monkeypatch.setattr(Trainer, "load_state_dict", load)
        resumed = train(settings, examples, resume_from=copy.deepcopy(states[-1])).weights[seed]
        return all(torch.equal(tensor, resumed[name]) for name, tensor in straight.items())

    assert holds(lost=None)
    assert not holds(lost="network")
    assert not holds(lost="optimiser")
    assert not holds(lost="generators")
    assert not holds(lost="defense"), "the examples carried from epoch to epoch"


def test_14_the_clock_is_read_while_the_device_works_or_evaluates(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    steps = timing.WARM_UP + 1  # the shortest warm-up
    clock, step, time_steps = timing.time.perf_counter, Trainer.step, timing._time_steps
    monkeypatch.setattr(timing, "synchronise", lambda device: events.append("wait"))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: events.append("read") or clock())
    monkeypatch.setattr(Trainer, "step", lambda trainer, index: events.append("step") or step(trainer, index))
    monkeypatch.setattr(training_loop, "watch", lambda *a, **k: events.append("evaluate"))

    def holds() -> bool:
        events.clear()
        trainers = {"proposed": Trainer(plan("proposed"), examples, [0])}
        timing.time_epochs(trainers, Timing(blocks=1, steps_per_block=steps, threads=1))
        return events == ["wait", "read", *["step"] * steps, "wait", "read"] * 2

    def without_waiting(trainer: Trainer, stream: Iterator[Tensor], steps: int) -> float:
        start = timing.time.perf_counter()
        for _ in range(steps):
            trainer.step(next(stream))
        return timing.time.perf_counter() - start

    def with_evaluation(trainer: Trainer, stream: Iterator[Tensor], steps: int) -> float:
        def stream_and_watch() -> Iterator[Tensor]:
            for _ in range(steps):
                yield next(stream)
            training_loop.watch(trainer.network, trainer.watched, 1, epsilon=0.3, iterations=1)

        return time_steps(trainer, stream_and_watch(), steps + 1)

    assert holds()
    for mistake in (without_waiting, with_evaluation):
        monkeypatch.setattr(timing, "_time_steps", mistake)
        assert not holds()


def test_15_the_test_set_takes_part_in_the_training() -> None:
    def holds(rules: str) -> bool:
        """The rules read data, and of data nothing but the training images and labels."""
        read = re.findall(r"data/\S+", rules)
        return len(read) > 0 and all("/train-" in file for file in read)

    for rules in (RULES / "train.smk", RULES / "timing.smk"):
        assert holds(rules.read_text())
        assert not holds(rules.read_text().replace("train-images", "t10k-images"))
    assert not holds((RULES / "evaluate.smk").read_text())
