"""The successors' methods, update by update over three epochs, against their papers' formulas written down once more."""

import pytest
import torch
from torch import Tensor

from advtrain.data.examples import Examples
from advtrain.training.run import train
from literally import EPSILON, Literally, canvas, clip, kl, projected, put_back, seen
from trainings import GUIDED, MIXED, assert_same_bits, plan

BOTH = pytest.mark.parametrize("trained_on", ["adversarial", "mixture"])


@BOTH
def test_fast_at_steps_from_a_random_start_that_may_leave_the_image_box(trained_on: str) -> None:
    side = Literally({"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", "trained_on": trained_on})
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        delta = side.noise(x, EPSILON)
        assert (x + delta).min() < 0
        delta = clip(delta + 0.375 * side.gradient(x + delta, y).sign(), -EPSILON, EPSILON)
        side.descend(side.loss(x, clip(x + delta, 0, 1), y, trained_on))


@BOTH
def test_n_fgsm_starts_within_twice_epsilon_and_is_not_projected_onto_epsilon(trained_on: str) -> None:
    side = Literally({"method": "n_fgsm", "noise_factor": 2, "attack_mode": "evaluation", "trained_on": trained_on})
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        start = clip(x + side.noise(x, 2 * EPSILON), 0, 1)
        x_adv = clip(start + EPSILON * side.gradient(start, y).sign(), 0, 1)
        assert (x_adv - x).abs().max() > 2 * EPSILON
        side.descend(side.loss(x, x_adv, y, trained_on))


@BOTH
def test_zero_grad_does_not_move_the_third_of_an_image_s_pixels_with_the_smallest_gradients(trained_on: str) -> None:
    side = Literally({"method": "zero_grad", "quantile": 0.35, "attack_mode": "evaluation", "trained_on": trained_on})
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        start = clip(x + side.noise(x, EPSILON), 0, 1)
        gradient = side.gradient(start, y)
        for image in gradient:
            image[image.abs() < torch.quantile(image.abs(), 0.35)] = 0
            assert (image == 0).double().mean() == pytest.approx(0.35, abs=0.01)
        side.descend(side.loss(x, projected(start + 2 * EPSILON * gradient.sign(), x), y, trained_on))


@BOTH
@pytest.mark.parametrize("stop_at_error", [True, False])
def test_pgd_at_moves_all_images_or_only_what_is_still_right(trained_on: str, stop_at_error: bool) -> None:
    settings = {"iterations": 3, "step_divisor": 2, "stop_at_error": stop_at_error, "attack_mode": "evaluation"}
    side = Literally({"method": "pgd_at", **settings, "trained_on": trained_on})
    moved = []
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        x_adv = clip(x + side.noise(x, EPSILON), 0, 1)
        for _ in range(3):
            step = projected(x_adv + EPSILON / 2 * side.gradient(x_adv, y).sign(), x)
            moves = [not stop_at_error or bool(right) for right in side.network(x_adv).argmax(1) == y]
            x_adv = torch.stack([step[i] if moves[i] else x_adv[i] for i in range(len(x))])
            moved += moves
        side.descend(side.loss(x, x_adv, y, trained_on))
    assert set(moved) == ({False, True} if stop_at_error else {True})


def test_trades_leads_away_from_the_clean_output_and_trains_towards_it() -> None:
    side = Literally({"method": "trades", "iterations": 3, "step_divisor": 2, "beta": 6})
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        clean = side.network(x).detach()
        x_adv = x + 0.001 * side.random.normal(x)
        for _ in range(3):
            x_adv = x_adv.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(kl(clean, side.network(x_adv)).sum(), x_adv)
            x_adv = projected(x_adv + EPSILON / 2 * gradient.sign(), x).detach()
        side.descend(side.cross_entropy(x, y).mean() + 6 * kl(side.network(x), side.network(x_adv)).mean())


@BOTH
def test_grad_align_turns_the_gradient_nearby_towards_that_of_the_image(trained_on: str) -> None:
    side = Literally({"method": "grad_align", "alignment": 0.5, "trained_on": trained_on})
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        g = side.gradient(x, y)
        near = (x + side.noise(x, EPSILON)).requires_grad_()
        (h,) = torch.autograd.grad(side.cross_entropy(near, y).sum(), near, create_graph=True)
        cosines = [(a * b).sum() / (a.square().sum() * b.square().sum()).sqrt() for a, b in zip(g, h, strict=True)]
        fgsm = side.loss(x, projected(x + EPSILON * g.sign(), x), y, trained_on)
        side.descend(fgsm + 0.5 * (1 - torch.stack(cosines)).mean())


def test_free_at_moves_weights_and_the_perturbations_of_a_minibatch_s_places_by_one_gradient() -> None:
    side = Literally({"method": "free_at", "replays": 3})
    delta = torch.zeros(4, 1, 28, 28, dtype=torch.float64)
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        assert torch.equal(side.kept("delta"), delta), "carried from minibatch to minibatch and over epochs"
        for _ in range(3):
            moved = x + delta[: len(x)]
            x_adv = clip(moved, 0, 1).requires_grad_()
            loss = side.cross_entropy(x_adv, y).mean()
            (gradient,) = torch.autograd.grad(loss, x_adv, retain_graph=True)
            side.descend(loss)
            gradient[(moved < 0) | (moved > 1)] = 0
            delta = torch.cat([clip(delta[: len(x)] + EPSILON * gradient.sign(), -EPSILON, EPSILON), delta[len(x) :]])
    assert delta.abs().max() == EPSILON
    assert (x + delta[: len(x)]).min() < 0, "carried to an image that has no room for it"


@BOTH
def test_sora_s_step_follows_the_agreement_of_the_gradients_before_and_after_it(trained_on: str) -> None:
    side = Literally({"method": "sora", "trained_on": trained_on})
    v, steps = 0.99, []
    for _, index in side.minibatches():
        x, y = side.x[index], side.y[index]
        assert side.kept("agreement").item() == pytest.approx(v, rel=1e-12)
        start = clip(x + side.noise(x, EPSILON), 0, 1)
        g = side.gradient(start, y)
        steps.append(2 * EPSILON * min(1, 0.02 / (1 - v)))
        x_adv = clip(start + steps[-1] * side.random.uniform(x) * g.sign(), 0, 1)
        h = side.gradient(x_adv, y)
        agreed = [((a.sign() * b).sum() / a.abs().sum()).item() for a, b in zip(g, h, strict=True)]
        v = max(-1, min(1, 0.95 * v + 0.05 * sum(agreed) / len(agreed)))
        side.descend(side.loss(x, x_adv, y, trained_on))
    assert steps[0] == 2 * EPSILON > steps[-1]


@BOTH
def test_atta_takes_one_small_step_an_epoch_from_its_noisy_start_until_a_reset(trained_on: str) -> None:
    settings = {"step_divisor": 30, "reset_epochs": 2, "start_noise": 0.001, "trained_on": trained_on}
    side, resets = Literally({"method": "atta", **settings}), set()
    for epoch, index in side.minibatches():
        if epoch not in resets and epoch % 2 == 0:
            resets.add(epoch)
            x_adv = side.x + 0.001 * side.random.normal(side.x)
        x, y = side.x[index], side.y[index]
        assert torch.allclose(side.kept("x_adv"), x_adv, rtol=0, atol=1e-12)
        x_adv[index] = projected(x_adv[index] + EPSILON / 30 * side.gradient(x_adv[index], y).sign(), x)
        side.descend(side.loss(x, x_adv[index], y, trained_on))
    assert resets == {0, 2}
    assert (x_adv - side.x).abs().max() < EPSILON / 30 + 0.01


def test_atta_with_the_paper_s_settings_is_proposed(examples: Examples) -> None:
    paper = {"step_divisor": 10, "reset_epochs": 2}
    proposed = {"method": "proposed", "labels": "ground_truth", **paper}
    atta = {"method": "atta", "start_noise": 0, **MIXED, **paper}
    assert_same_bits(*(train(plan("", defense=defense), examples) for defense in (proposed, atta)))


def look(side: Literally, start: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at the start, to be differentiated again, and the gradient of their smoothed loss."""
    start = start.clone().requires_grad_()
    logits = side.network(start)
    (gradient,) = torch.autograd.grad(side.smoothed(logits, y).sum(), start, retain_graph=True)
    return logits, gradient


def corners(side: Literally) -> Tensor:
    return side.x + EPSILON * side.noise(side.x, 1).sign()


def test_fgsm_ep_steps_from_where_the_last_epoch_s_step_ended_and_keeps_the_logits_near() -> None:
    side = Literally({"method": "fgsm_ep", **GUIDED})
    for epoch, index in side.minibatches():
        if epoch == 0 and len(index) == 4:
            carried = corners(side)
            assert carried.min() < 0
        x, y = side.x[index], side.y[index]
        assert torch.allclose(side.kept("x_adv"), carried, rtol=0, atol=1e-12)
        before, gradient = look(side, carried[index], y)
        carried[index] = projected(carried[index] + EPSILON * gradient.sign(), x)
        after = side.network(carried[index])
        side.descend(side.smoothed(after, y).mean() + 10 * ((after - before) ** 2).sum() / after.numel())


def test_fgsm_mep_carries_along_the_momentum_and_starts_both_anew() -> None:
    side = Literally({"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 2})
    apart = False
    for epoch, index in side.minibatches():
        if epoch % 2 == 0 and len(index) == 4:
            carried, momentum = corners(side), torch.zeros_like(side.x)
        x, y, start = side.x[index], side.y[index], carried[index]
        assert torch.allclose(side.kept("x_adv"), carried, rtol=0, atol=1e-12)
        assert torch.allclose(side.kept("momentum"), momentum, rtol=0, atol=1e-12)
        before, gradient = look(side, start, y)
        momentum[index] = gradient / gradient.abs().sum() + 0.3 * momentum[index]
        carried[index] = projected(start + EPSILON * momentum[index].sign(), x)
        x_adv = projected(start + EPSILON * gradient.sign(), x)
        apart |= not torch.equal(carried[index], x_adv)
        after = side.network(x_adv)
        side.descend(side.smoothed(after, y).mean() + 10 * ((after - before) ** 2).sum() / after.numel())
    assert apart


def test_fgsm_pco_trains_between_start_and_step_by_how_unsure_it_is_at_the_start() -> None:
    side = Literally({"method": "fgsm_pco", **GUIDED})
    for epoch, index in side.minibatches():
        if epoch == 0 and len(index) == 4:
            carried = corners(side)
        x, y, start = side.x[index], side.y[index], carried[index]
        assert torch.allclose(side.kept("x_adv"), carried, rtol=0, atol=1e-12)
        before, gradient = look(side, start, y)
        carried[index] = projected(start + EPSILON * gradient.sign(), x)
        unsure = [1 - torch.softmax(logits, 0)[label] for logits, label in zip(before, y, strict=True)]
        far = x + 1.5 * (carried[index] - x)
        fused = side.network(torch.stack([c * a + (1 - c) * b for c, a, b in zip(unsure, start, far, strict=True)]))
        after = side.network(carried[index])
        changes = [((after - other) ** 2).sum() / after.numel() for other in (before, fused)]
        side.descend(side.smoothed(fused, y).mean() + 10 * abs(changes[0] - changes[1]))


MOVED = {"augment": "crop_flip"}


def test_fast_at_sees_other_crops_and_flips_of_the_images_at_each_visit() -> None:
    settings = {"method": "fast_at", "step_factor": 1.25, "attack_mode": "evaluation", "trained_on": "adversarial"}
    side, visits = Literally(settings, **MOVED), []
    for _, index in side.minibatches():
        visits.append(side.moves(len(index)))
        x, y = seen(canvas(side.x), index, visits[-1]), side.y[index]
        start = x + side.noise(x, EPSILON)
        side.descend(side.cross_entropy(projected(start + 0.375 * side.gradient(start, y).sign(), x), y).mean())
    assert len({move for moves in visits for move in moves}) > 10


def test_proposed_carries_an_example_with_its_image_through_crops_and_flips_and_back() -> None:
    settings = {"step_divisor": 10, "reset_epochs": 3, "labels": "ground_truth"}
    side = Literally({"method": "proposed", **settings}, **MOVED)
    wide = canvas(side.x)
    carried = wide.clone()
    for _, index in side.minibatches():
        moves, y = side.moves(len(index)), side.y[index]
        assert torch.allclose(side.kept("x_adv"), carried, rtol=0, atol=1e-12)
        x, x_adv = seen(wide, index, moves), seen(carried, index, moves)
        x_adv = projected(x_adv + EPSILON / 10 * side.gradient(x_adv, y).sign(), x)
        put_back(carried, index, moves, x_adv)
        side.descend(side.loss(x, x_adv, y, "mixture"))
    assert (carried - wide).abs().max() > 1.5 * EPSILON / 10, "pixels have moved in more than one epoch"


def test_fgsm_mep_moves_its_momentum_with_the_image() -> None:
    side = Literally({"method": "fgsm_mep", **GUIDED, "decay": 0.3, "redraw_epochs": 3}, **MOVED)
    wide = canvas(side.x)
    carried, momentum = wide + EPSILON * side.noise(wide, 1).sign(), torch.zeros_like(wide)
    for epoch, index in side.minibatches():
        moves, y = side.moves(len(index)), side.y[index]
        if epoch:
            assert torch.allclose(side.kept("x_adv"), carried, rtol=0, atol=1e-12)
            assert torch.allclose(side.kept("momentum"), momentum, rtol=0, atol=1e-12)
        x, start, m = (seen(kept, index, moves) for kept in (wide, carried, momentum))
        before, gradient = look(side, start, y)
        m = gradient / gradient.abs().sum() + 0.3 * m
        put_back(momentum, index, moves, m)
        put_back(carried, index, moves, projected(start + EPSILON * m.sign(), x))
        after = side.network(projected(start + EPSILON * gradient.sign(), x))
        side.descend(side.smoothed(after, y).mean() + 10 * ((after - before) ** 2).sum() / after.numel())


def test_fgsm_pco_not_aligned_leaves_the_perturbation_where_it_was_while_the_image_moves_under_it() -> None:
    side = Literally({"method": "fgsm_pco", **GUIDED}, **MOVED, aligned=False)
    wide, delta = canvas(side.x), EPSILON * side.noise(side.x, 1).sign()
    for epoch, index in side.minibatches():
        moves, y = side.moves(len(index)), side.y[index]
        if epoch:
            assert torch.allclose(side.kept("x_adv"), delta, rtol=0, atol=1e-12)
        x = seen(wide, index, moves)
        start = x + delta[index]
        before, gradient = look(side, start, y)
        x_adv = projected(start + EPSILON * gradient.sign(), x)
        delta[index] = x_adv - x
        unsure = [1 - torch.softmax(logits, 0)[label] for logits, label in zip(before, y, strict=True)]
        far = x + 1.5 * (x_adv - x)
        fused = side.network(torch.stack([c * a + (1 - c) * b for c, a, b in zip(unsure, start, far, strict=True)]))
        after = side.network(x_adv)
        changes = [((after - other) ** 2).sum() / after.numel() for other in (before, fused)]
        side.descend(side.smoothed(fused, y).mean() + 10 * abs(changes[0] - changes[1]))
