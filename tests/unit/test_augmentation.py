"""Crops and flips of a minibatch's images, and what is written back through them."""

import pytest
import torch

from advtrain.data.augmentation import Window, crop, draw_window, look, padded, write
from advtrain.system.randomness import SeededRandom

CPU = torch.device("cpu")


def draw(images: int, seeds: tuple[int, ...] = (0,)) -> tuple[torch.Tensor, Window]:
    shape = (*([len(seeds)] if len(seeds) > 1 else []), images, 3, 5, 6)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(7))
    return x, draw_window(x, SeededRandom(seeds, CPU))


def test_all_crops_of_nine_by_nine_and_both_flips_are_as_likely() -> None:
    _, window = draw(20_000)
    flipped = window.columns[:, 0] > window.columns[:, -1]
    left = torch.where(flipped, window.columns[:, -1], window.columns[:, 0])
    counts = torch.zeros(9, 9, 2).index_put((window.rows[:, 0], left, flipped.long()), torch.ones(20_000), accumulate=True)
    assert counts.min() > 80, "123 are expected of each"
    assert counts.max() < 175


def test_a_crop_without_a_move_is_the_image_and_its_flip_is_from_right_to_left() -> None:
    x, _ = draw(2)
    rows, columns = torch.arange(4, 9).expand(2, -1), torch.stack([torch.arange(4, 10), torch.arange(9, 3, -1)])
    seen = crop(x, Window(rows, columns))
    assert torch.equal(seen, torch.stack([x[0], x[1].flip(-1)]))


def test_what_lies_beyond_the_border_is_zero() -> None:
    x, _ = draw(1)
    seen = crop(x, Window(torch.arange(5).unsqueeze(0), torch.arange(8, 14).unsqueeze(0)))
    assert torch.equal(seen[0, :, 4:, :2], x[0, :, :1, 4:])
    assert not seen[0, :, :4].any()
    assert not seen[0, :, :, 2:].any()


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_what_is_written_through_a_window_is_seen_through_it_and_nothing_else_changes(seeds: tuple[int, ...]) -> None:
    x, window = draw(4, seeds)
    canvases = padded(torch.rand(8, 3, 5, 6))
    places = torch.tensor([[6, 0, 3, 1], [2, 7, 4, 5]])[: len(seeds)].view(x.shape[:-3])
    before = canvases.clone()
    write(canvases, places, window, x)
    assert torch.equal(look(canvases, places, window), x)
    assert (canvases != before).flatten(1).sum(1)[places].max() <= 3 * 5 * 6
    write(canvases, places, window, look(before, places, window))
    assert torch.equal(canvases, before)


def test_each_seed_s_draws_are_those_that_it_has_alone() -> None:
    _, together = draw(4, (0, 1))
    for seed, rows, columns in zip((0, 1), *together, strict=True):
        _, alone = draw(4, (seed,))
        assert torch.equal(rows, alone.rows)
        assert torch.equal(columns, alone.columns)
