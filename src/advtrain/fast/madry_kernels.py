"""Kernels of madry_cnn, S networks at once: the logits, the gradients of images and weights, a step of an attack.

Layout, promises and names as in attack_kernels.py, whose kernels also compute the dense layers:

    images x      28 x 28 x 1     784 pixels
    maps a1       14 x 14 x 32    196 positions, 2x2 max-pool(relu(conv 5x5, padding 2; weights w1))
    maps a2        7 x 7  x 64     49 positions, 2x2 max-pool(relu(conv 5x5, padding 2; w2)); [S, channel, y, x, Bp]
    hidden a3     1,024           relu(dense; w3)
    logits         10             dense; w4

A program computes the four positions of one pooling window. Of its maximum it also stores where it is, the winner: position
2 * y + x of the window, the first one of equals, or 4 where no position is above zero and so none has a gradient. Numbers of
warps, stages and tiles are the fastest of those tried on an H200 with five networks and 64 images; those of `arrange`, w1 and
the images' gradient are reasoned.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from advtrain.fast import attack_kernels as dense
from advtrain.fast.attack_kernels import Tiles, Weights, move

TILE = 64
"""Images of a program."""
STEP, STEP_BACK = 32, 16
"""Channels of a turn of the loop of conv2, and of that on its way back."""
BLOCK1, BLOCK2 = 16, 32
"""Images of a turn of the loop of w1's gradient, and of w2's."""
DENSE, DENSE_BACK = 64, 32
"""Outputs of a program in the hidden layer, and those of a turn of the loop on the way back."""
SPLITS = 14
"""Parts of w3's product over the 3,136 features."""
TURN = 32
"""Rows of w3 that a program transposes."""


class Arranged(NamedTuple):
    """Weights as the kernels read them."""

    w1: Tensor
    """[S, c, 7, 7], a border of zeros around the taps, for the images' gradient."""
    w2: Tensor
    """For conv2, [S, (ky, kx, c), o]."""
    w2_back: Tensor
    """For its input gradient, a convolution as well, [S, (4 - ky, 4 - kx, o), c]."""
    w3: Tensor
    """[S, 3136, 1024]."""


class Maps(NamedTuple):
    """What a forward pass leaves up to the hidden layer."""

    a1t: Tensor
    """a1 as [S, 196, Bp, 32] in training, else one float."""
    i1: Tensor
    """Winners of a1, [S, 196, 32, Bp], int8."""
    a2: Tensor
    """[S, 64, 49, Bp]: the features in torch's order."""
    i2: Tensor
    """Winners of a2."""


@triton.jit
def transpose_kernel(x, out, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TURN: tl.constexpr):
    """out[s, j, i] = x[s, i, j]. Program: TURN rows i, 64 columns j."""
    i = tl.program_id(0) * TURN + tl.arange(0, TURN)
    j = tl.program_id(1) * 64 + tl.arange(0, 64)
    s = tl.program_id(2)
    v = tl.load(x + (s * ROWS + i[:, None]) * COLUMNS + j[None, :])
    tl.store(out + (s * COLUMNS + j[None, :]) * ROWS + i[:, None], v)


@triton.jit
def _pooled(z, BM: tl.constexpr, C: tl.constexpr):
    """Maximum and winner [BM, C] of a window's positions z [4 * BM, C] after the relu."""
    top, winner = tl.max(tl.reshape(z, (4, BM, C)), axis=0, return_indices=True)
    return tl.maximum(top, 0.0), tl.where(top > 0, winner, 4).to(tl.int8)


@triton.jit
def conv1_kernel(x, w1, b1, a1, a1t, i1, Bp, BM: tl.constexpr, TRAIN: tl.constexpr):
    """a1[s, y, x, c, b] = max-pool(relu(conv1)) and its winners; with TRAIN also a1t[s, y, x, b, c].

    Program: one window, BM images; one product of 4 * BM rows and 25 taps.
    """
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    r = tl.arange(0, 4 * BM)
    k = tl.arange(0, 32)  # tap ky * 5 + kx
    c = tl.arange(0, 32)
    iy = (2 * (window // 14) + r // (2 * BM) - 2)[:, None] + (k // 5)[None, :]
    ix = (2 * (window % 14) + (r // BM) % 2 - 2)[:, None] + (k % 5)[None, :]
    inside = (iy >= 0) & (iy < 28) & (ix >= 0) & (ix < 28) & (k < 25)[None, :]
    b = tl.program_id(1) * BM + r % BM
    a = tl.load(x + s * 784 * Bp + (iy * 28 + ix) * Bp + b[:, None], mask=inside, other=0.0)
    w = tl.load(w1 + s * 800 + c[None, :] * 25 + k[:, None], mask=k[:, None] < 25, other=0.0)
    z = tl.dot(a, w, input_precision="ieee") + tl.load(b1 + s * 32 + c)[None, :]
    top, winner = _pooled(z, BM, 32)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    at = s * (196 * 32) * Bp + (window * 32 + c[None, :]) * Bp + m[:, None]
    tl.store(a1 + at, top)
    tl.store(i1 + at, winner)
    if TRAIN:
        tl.store(a1t + s * (196 * 32) * Bp + (window * Bp + m[:, None]) * 32 + c[None, :], top)


@triton.jit
def _convolved(a, w, window, first, Bp, BM: tl.constexpr, C: tl.constexpr, O: tl.constexpr, STEP: tl.constexpr):  # noqa: E741
    """The convolution 5x5, padding 2, of maps a [14, 14, C, Bp] with w [(ky, kx, c), O], [4 * BM, O].

    Rows are the four positions of a window and BM images from `first` on. Taps that are in the padding for all of them are
    left out; the taps are the inner loop, since neighbours read the same maps.
    """
    r = tl.arange(0, 4 * BM)
    k = tl.arange(0, STEP)
    wy = window // 7
    wx = window % 7
    y = 2 * wy + r // (2 * BM) - 2
    x = 2 * wx + (r // BM) % 2 - 2
    top = (wy == 0).to(tl.int32)
    left = (wx == 0).to(tl.int32)
    columns = 5 - left - (wx == 6).to(tl.int32)
    taps = (5 - top - (wy == 6).to(tl.int32)) * columns
    a_tile = a + ((y * 14 + x)[:, None] * C + k[None, :]) * Bp + (first + r % BM)[:, None]
    w_tile = w + k[:, None] * O + tl.arange(0, O)[None, :]
    acc = tl.zeros((4 * BM, O), tl.float32)
    for t in range(taps * (C // STEP)):
        tap = t % taps
        ky = top + tap // columns
        kx = left + tap % columns
        c = t // taps * STEP
        iy = y + ky
        ix = x + kx
        inside = (iy >= 0) & (iy < 14) & (ix >= 0) & (ix < 14)
        v = tl.load(a_tile + ((ky * 14 + kx) * C + c) * Bp, mask=inside[:, None], other=0.0)
        acc = tl.dot(v, tl.load(w_tile + ((ky * 5 + kx) * C + c) * O), acc, input_precision="ieee")
    return acc


@triton.jit
def conv2_kernel(a1, w2, b2, a2, i2, Bp, BM: tl.constexpr, STEP: tl.constexpr):
    """a2[s, o, y, x, b] = max-pool(relu(conv2)) and its winners. Program: one window, BM images, 64 outputs."""
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    o = tl.arange(0, 64)
    z = _convolved(a1 + s * (196 * 32) * Bp, w2 + s * 51200, window, tl.program_id(1) * BM, Bp, BM, 32, 64, STEP)
    top, winner = _pooled(z + tl.load(b2 + s * 64 + o)[None, :], BM, 64)
    at = s * 3136 * Bp + (o[None, :] * 49 + window) * Bp + (tl.program_id(1) * BM + tl.arange(0, BM))[:, None]
    tl.store(a2 + at, top)
    tl.store(i2 + at, winner)


@triton.jit
def unpool_kernel(g, i2, g2, g2t, Bp, BM: tl.constexpr, TRAIN: tl.constexpr):
    """g2[s, y, x, o, b]: of the winners the gradient g of a2, [s, o, window, b], else 0; with TRAIN also g2t[s, y, x, b, o].

    Program: one window, BM images, 64 channels.
    """
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    o = tl.arange(0, 64)[None, :]
    m = (tl.program_id(1) * BM + tl.arange(0, BM))[:, None]
    at = s * 3136 * Bp + (o * 49 + window) * Bp + m
    v = tl.load(g + at)
    winner = tl.load(i2 + at)
    for i in tl.static_range(4):
        pos = (2 * (window // 7) + i // 2) * 14 + 2 * (window % 7) + i % 2
        won = tl.where(winner == i, v, 0.0)
        tl.store(g2 + s * (196 * 64) * Bp + (pos * 64 + o) * Bp + m, won)
        if TRAIN:
            tl.store(g2t + s * (196 * 64) * Bp + (pos * Bp + m) * 64 + o, won)


@triton.jit
def conv2_back_kernel(g2, w2_back, i1, g1, Bp, BM: tl.constexpr, STEP: tl.constexpr):
    """g1[s, y, x, c, b] = conv2's input gradient where a1 > 0: that of the winners. Program: four positions, BM images."""
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    g = _convolved(g2 + s * (196 * 64) * Bp, w2_back + s * 51200, window, tl.program_id(1) * BM, Bp, BM, 64, 32, STEP)
    r = tl.arange(0, 4 * BM)
    pos = (2 * (window // 7) + r // (2 * BM)) * 14 + 2 * (window % 7) + (r // BM) % 2
    c = tl.arange(0, 32)
    at = s * (196 * 32) * Bp + (pos[:, None] * 32 + c[None, :]) * Bp + (tl.program_id(1) * BM + r % BM)[:, None]
    tl.store(g1 + at, tl.where(tl.load(i1 + at) < 4, g, 0.0))


@triton.jit
def _image_gradient(g1, i1, w1, window, s, m, Bp, BM: tl.constexpr):
    """The gradient of the four pixels of a window of a1 and images m, [BM, 4].

    Of each window around, a pixel gets its gradient times the tap by which the winner sees the pixel, 0 where there is none:
    pixel (py, px) and winner (wy, wx) of the window (dy, dx) further have tap ky = py + 2 - 2 dy - wy, kx = px + 2 - 2 dx - wx.
    """
    wy = window // 14
    wx = window % 14
    c = tl.arange(0, 32)[:, None]
    at = s * (196 * 32) * Bp + (window * 32 + c) * Bp + m[None, :]
    seen = w1 + s * 1568 + c * 49
    p00 = tl.zeros((32, BM), tl.float32)
    p01 = tl.zeros((32, BM), tl.float32)
    p10 = tl.zeros((32, BM), tl.float32)
    p11 = tl.zeros((32, BM), tl.float32)
    for t in tl.static_range(9):
        further = ((t // 3 - 1) * 14 + t % 3 - 1) * 32 * Bp
        inside = (wy + t // 3 >= 1) & (wy + t // 3 < 15) & (wx + t % 3 >= 1) & (wx + t % 3 < 15)
        there = c < tl.where(inside, 32, 0)
        g = tl.load(g1 + at + further, mask=there, other=0.0)
        winner = tl.load(i1 + at + further, mask=there, other=0).to(tl.int32) & 3  # of 4 the gradient is 0
        tap = seen + ((5 - 2 * (t // 3)) * 7 + 5 - 2 * (t % 3)) - (winner + (winner // 2) * 5)
        p00 += tl.load(tap) * g
        p01 += tl.load(tap + 1) * g
        p10 += tl.load(tap + 7) * g
        p11 += tl.load(tap + 8) * g
    left = tl.join(tl.sum(p00, axis=0), tl.sum(p10, axis=0))
    right = tl.join(tl.sum(p01, axis=0), tl.sum(p11, axis=0))
    return tl.reshape(tl.join(left, right), (BM, 4))


@triton.jit
def _images_and_pixels(window, s, tile, Bp, BM: tl.constexpr):
    """A tile's images, and where those have the four pixels of a window of a1, [BM, 4].

    Counted down: a thread then takes one float of a row, as it does of the taps, and nothing need change threads.
    """
    m = tile * BM + BM - 1 - tl.arange(0, BM)
    i = tl.arange(0, 4)
    pixel = (2 * (window // 14) + i // 2) * 28 + 2 * (window % 14) + i % 2
    return m, s * 784 * Bp + pixel[None, :] * Bp + m[:, None]


@triton.jit
def image_gradient_kernel(g1, i1, w1, gradient, Bp, BM: tl.constexpr):
    """gradient[s, pixel, b]. Program: the four pixels of a window, BM images."""
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    m, at = _images_and_pixels(window, s, tl.program_id(1), Bp, BM)
    tl.store(gradient + at, _image_gradient(g1, i1, w1, window, s, m, Bp, BM))


@triton.jit
def ascend_kernel(g1, i1, w1, x_adv, x, epsilon, step_size, Bp, BM: tl.constexpr):
    """In place on x_adv[s, pixel, b]: a step along the gradient's sign, then projection. Program as `image_gradient_kernel`."""
    window = tl.program_id(0)
    s = tl.program_id(2).to(tl.int64)
    m, at = _images_and_pixels(window, s, tl.program_id(1), Bp, BM)
    move(_image_gradient(g1, i1, w1, window, s, m, Bp, BM), x_adv, x, at, epsilon, step_size)


@triton.jit(do_not_specialize=["S"])
def w2_kernel(a1t, g2t, part, S, Bp, BLOCK: tl.constexpr):
    """part[y, s, o, (tap, c)] = sum over x, b of g2[y, x, o, b] a1[y + ky - 2, x + kx - 2, c, b].

    Program: (y, four taps), 64 outputs times 4 * 32 inputs; of the 28 taps the last three are zero.
    """
    y = tl.program_id(0) // 7
    s = tl.program_id(1).to(tl.int64)
    o = tl.arange(0, 64)
    n = tl.arange(0, 128)
    k = tl.arange(0, BLOCK)
    tap = (tl.program_id(0) % 7) * 4 + n // 32
    iy = y + tap // 5 - 2
    dx = tap % 5 - 2
    g_tile = g2t + s * (196 * 64) * Bp + (y * 14 * Bp + k[None, :]) * 64 + o[:, None]
    a_tile = a1t + s * (196 * 32) * Bp + ((iy * 14 + dx)[None, :] * Bp + k[:, None]) * 32 + (n % 32)[None, :]
    inside = (iy >= 0) & (iy < 14) & (tap < 25)
    acc = tl.zeros((64, 128), tl.float32)
    for t in range(14 * (Bp // BLOCK)):  # x and a block of images
        x = t // (Bp // BLOCK)
        g = tl.load(g_tile + t * (BLOCK * 64))
        a = tl.load(a_tile + t * (BLOCK * 32), mask=(inside & (x + dx >= 0) & (x + dx < 14))[None, :], other=0.0)
        acc = tl.dot(g, a, acc, input_precision="ieee")
    at = (tl.program_id(0) // 7 * S + s) * (64 * 896) + o[:, None] * 896 + ((tl.program_id(0) % 7) * 128 + n)[None, :]
    tl.store(part + at, acc)


@triton.jit(do_not_specialize=["S"])
def w1_kernel(x, g1, i1, part, S, Bp, BLOCK: tl.constexpr):
    """part[window, s, c, tap] = sum over b of g1[window, c, b] x[the tap's pixel as the winner sees it, b].

    Program: one window, 32 channels times 25 taps; a product for each position, with the gradients that it won.
    """
    window = tl.program_id(0)
    s = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, 32)
    tap = tl.arange(0, 32)
    k = tl.arange(0, BLOCK)
    acc = tl.zeros((32, 32), tl.float32)
    for t in range(Bp // BLOCK):
        at = s * (196 * 32) * Bp + (window * 32 + c[:, None]) * Bp + t * BLOCK + k[None, :]
        g = tl.load(g1 + at)
        winner = tl.load(i1 + at)
        for i in tl.static_range(4):
            iy = 2 * (window // 14) + i // 2 + tap // 5 - 2
            ix = 2 * (window % 14) + i % 2 + tap % 5 - 2
            inside = (iy >= 0) & (iy < 28) & (ix >= 0) & (ix < 28) & (tap < 25)
            pixel = s * 784 * Bp + (iy * 28 + ix)[None, :] * Bp + t * BLOCK + k[:, None]
            a = tl.load(x + pixel, mask=inside[None, :], other=0.0)
            acc = tl.dot(tl.where(winner == i, g, 0.0), a, acc, input_precision="ieee")
    out = (window * S + s) * 800 + c[:, None] * 25 + tap[None, :]
    tl.store(part + out, acc, mask=(tap < 25)[None, :])


def tiles(networks: int, images: int) -> Tiles:
    """How a batch of images for each of some networks is laid out."""
    return Tiles(networks, images, TILE)


def arrange(w: Weights) -> Arranged:
    """The weights as the kernels read them."""
    w3 = w.w3.new_empty(w.w3.mT.shape)
    transpose_kernel[(1024 // TURN, 49, len(w3))](w.w3.contiguous(), w3, ROWS=1024, COLUMNS=3136, TURN=TURN, num_warps=4)
    return Arranged(
        F.pad(w.w1.squeeze(2), (1, 1, 1, 1)),
        w.w2.permute(0, 3, 4, 2, 1).contiguous(),
        w.w2.flip(3, 4).permute(0, 3, 4, 1, 2).contiguous(),
        w3,
    )


def forward(w: Weights, arranged: Arranged, x: Tensor, t: Tiles, *, train: bool) -> tuple[Maps, Tensor]:
    """From images [S, 784, Bp] to the parts of the hidden layer, [SPLITS, S, Bp, 1024]."""
    a1, a2 = x.new_empty(t.S, 196, 32, t.Bp), x.new_empty(t.S, 64, 49, t.Bp)
    i1, i2 = torch.empty_like(a1, dtype=torch.int8), torch.empty_like(a2, dtype=torch.int8)
    a1t = x.new_empty((t.S, 196, t.Bp, 32) if train else 1)
    conv1_kernel[t.grid(196)](x, w.w1, w.b1, a1, a1t, i1, t.Bp, BM=t.BM, TRAIN=train, num_warps=4)
    conv2_kernel[t.grid(49)](a1, arranged.w2, w.b2, a2, i2, t.Bp, BM=t.BM, STEP=STEP, num_warps=8, num_stages=3)
    return Maps(a1t, i1, a2, i2), dense.to_hidden(a2, arranged.w3, t, splits=SPLITS, outputs=DENSE)


def back_to_maps(w: Weights, arranged: Arranged, g3: Tensor, maps: Maps, t: Tiles, *, train: bool) -> tuple[Tensor, ...]:
    """From g3 [S, 1024, Bp]: the gradient of a2 where it is above 0, g2 in training as [S, 196, Bp, 64], else one float, g1."""
    g = dense.back_to_features(g3, w.w3.contiguous(), maps.a2, t, outputs=64, step=DENSE_BACK)
    g1, g2 = torch.empty_like(maps.i1, dtype=g.dtype), g.new_empty(t.S, 196, 64, t.Bp)
    g2t = g.new_empty((t.S, 196, t.Bp, 64) if train else 1)
    unpool_kernel[t.grid(49)](g, maps.i2, g2, g2t, t.Bp, BM=t.BM, TRAIN=train, num_warps=8)
    conv2_back_kernel[t.grid(49)](g2, arranged.w2_back, maps.i1, g1, t.Bp, BM=t.BM, STEP=STEP_BACK, num_warps=4, num_stages=3)
    return g, g2t, g1


def logits(w: Weights, arranged: Arranged, x: Tensor, t: Tiles, *, train: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The logits [S, B, 10] of images [S, 784, Bp]; the hidden layer [S, Bp, 1024] and `Maps`, which `gradients` needs."""
    maps, part = forward(w, arranged, x, t, train=train)
    z, a3 = dense.logits(w, part, t)
    return z, (a3, *maps)


def gradients(
    w: Weights, arranged: Any, x: Tensor, kept: tuple[Tensor, ...], g4: Tensor, t: Tiles, *, image: bool, weight: bool
) -> tuple[Tensor | None, tuple[Tensor | None, ...]]:
    """From g4 [S, B, 10] the gradients of the images [S, B, 1, 28, 28] and of the weights, as far as asked for."""
    a3, maps, read = kept[0], Maps(*kept[1:]), Arranged(*arranged)
    g3, g3t, g4t = dense.back_to_hidden(w, g4, a3, t, rows=1024, train=weight)
    g, g2t, g1 = back_to_maps(w, read, g3, maps, t, train=weight)
    of_images: Tensor | None = None
    of_weights: tuple[Tensor | None, ...] = (None,) * len(w)
    if image:
        of_pixels = torch.empty_like(x)
        image_gradient_kernel[t.grid(196)](g1, maps.i1, read.w1, of_pixels, t.Bp, BM=t.BM, num_warps=8)
        of_images = dense.store_images(of_pixels, t)
    if weight:
        part1, part2 = x.new_empty(196, t.S, 800), x.new_empty(14, t.S, 64 * 896)
        w1_kernel[(196, t.S)](x, g1, maps.i1, part1, t.S, t.Bp, BLOCK=BLOCK1, num_warps=2)
        w2_kernel[(98, t.S)](maps.a1t, g2t, part2, t.S, t.Bp, BLOCK=BLOCK2, num_warps=8, num_stages=3)
        of_w2 = part2.sum(0).view(t.S, 64, 28, 32)[:, :, :25].mT.reshape(t.S, 64, 32, 5, 5)
        of_w3, of_w4 = torch.bmm(g3t.mT, maps.a2.flatten(1, 2).mT), torch.bmm(g4t.mT, a3)[:, :10]
        of_weights = Weights(
            part1.sum(0).view(t.S, 32, 1, 5, 5), g1.sum((1, 3)), of_w2, g.sum((2, 3)), of_w3, g3t.sum(1),
            of_w4, g4t.sum(1)[:, :10],
        )  # fmt: skip
    return of_images, of_weights


def ascend(
    w: Weights, arranged: Arranged, x_adv: Tensor, x: Tensor, y: Tensor, t: Tiles, *, epsilon: float, step_size: float
) -> Tensor:
    """One step on the cross-entropy, in place on x_adv [S, 784, Bp]; returns the logits [S, B, 10] where it started.

    Clean images x [S, 784, Bp], labels y [S, B], int64, contiguous.
    """
    maps, part = forward(w, arranged, x_adv, t, train=False)
    z, g3 = dense.cross_entropy(w, part, y, t, rows=1024)
    *_, g1 = back_to_maps(w, arranged, g3, maps, t, train=False)
    ascend_kernel[t.grid(196)](g1, maps.i1, arranged.w1, x_adv, x, epsilon, step_size, t.Bp, BM=t.BM, num_warps=8)
    return z
