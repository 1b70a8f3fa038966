"""Kernels of an attack on S small_cnn networks at once: the logits, the loss's gradient with respect to the images, a BIM step.

The dense layers' are those of madry_cnn too (madry_kernels.py).

Float32 throughout, without atomics and without TF32: equal calls give equal bits, and the bits of an image do not depend on
the others of its batch. A sum of products of zeros is zero, so a pixel whose true gradient is exactly zero has gradient zero.

Layout. Inside, the batch is the innermost axis: activations are [S, y, x, channel, Bp], Bp being the batch rounded up to whole
tiles of images. A program computes a tile of images at one position, so a convolution gathers nothing: a row of its product's
inner dimension (a tap and a channel) is consecutive floats, and a tap in the padding is left out.

The shapes are those of small_cnn (networks/plain.py), here and in training_kernels.py:

    images x      28 x 28 x 1     784 pixels
    maps a1       14 x 14 x 16    196 positions, relu(conv 4x4, stride 2, padding 1; weights w1)
    maps a2        7 x 7  x 32     49 positions, 1,568 features, relu(conv 4x4, stride 2, padding 1; w2)
    hidden a3     100             relu(dense; w3); rows of 128 floats, the rest zero
    logits         10             dense; w4

gN is the loss's gradient with respect to what the relu of aN was given, g4 that of the logits. Numbers of warps, stages and
tiles are the fastest of those tried on an H100 (docs/gpu.md).
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 64
"""Images of a program; twice as many where a batch fills the chip anyway."""
LARGE = 4096
"""Images, over all networks, that fill it."""
SPLITS = 14
"""Parts of w3's product over the 1,568 features, summed afterwards: without them too few programs would run."""


class Weights(NamedTuple):
    """Weights and biases of S networks as torch lays them out, with the networks' axis in front."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    b3: Tensor
    w4: Tensor
    b4: Tensor


class Arranged(NamedTuple):
    """w2 and w3 as the kernels read them; in torch's layout they would gather single floats at every step."""

    w2: Tensor
    """For conv2, [S, (ky, kx, c), o]."""
    w2_back: Tensor
    """For its input gradient, [S, py, (a, b, o), (px, c)], where tap ky = py + 2a and kx = px + 2b."""
    w3: Tensor
    """[S, (position, o), 128]."""
    w3_back: Tensor
    """[S, 112, (position, o)]."""


@triton.jit
def arrange_kernel(w2, w3, w2_out, w2_back, w3_out, w3_back):
    """`Arranged`. Program (i, s): i < 64 a tile of w3 (8 outputs, 8 channels, 49 positions), then a quarter of w2."""
    i = tl.program_id(0)
    s = tl.program_id(1)
    if i < 64:
        j = (i // 4) * 8 + tl.arange(0, 8)[:, None, None]
        o = (i % 4) * 8 + tl.arange(0, 8)[None, :, None]
        p = tl.arange(0, 64)[None, None, :]
        v = tl.load(w3 + s * 156800 + j * 1568 + o * 49 + p, mask=(j < 100) & (p < 49), other=0.0)
        tl.store(w3_out + s * (1568 * 128) + (p * 32 + o) * 128 + j, v, mask=p < 49)
        tl.store(w3_back + s * (112 * 1568) + j * 1568 + p * 32 + o, v, mask=(j < 112) & (p < 49))
    else:
        e = (i - 64) * 2048 + tl.arange(0, 2048)  # ((ky * 4 + kx) * 16 + c) * 32 + o
        source = (e % 32) * 256 + ((e // 32) % 16) * 16 + e // 512
        tl.store(w2_out + s * 8192 + e, tl.load(w2 + s * 8192 + source))
        ky = e // 4096 + 2 * ((e // 2048) % 2)  # e = ((((py * 2 + a) * 2 + b) * 32 + o) * 2 + px) * 16 + c
        kx = (e // 16) % 2 + 2 * ((e // 1024) % 2)
        source = ((e // 32) % 32) * 256 + (e % 16) * 16 + ky * 4 + kx
        tl.store(w2_back + s * 8192 + e, tl.load(w2 + s * 8192 + source))


@triton.jit(do_not_specialize=["B"])
def load_images_kernel(x, out, B, Bp, BM: tl.constexpr):
    """out[s, pixel, b] = x[s, b, pixel]; images from B on are zero. Program: 32 pixels, BM images."""
    p = tl.program_id(0) * 32 + tl.arange(0, 32)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    s = tl.program_id(2)
    v = tl.load(x + (s * B + m[:, None]) * 784 + p[None, :], mask=(m[:, None] < B) & (p[None, :] < 784), other=0.0)
    tl.store(out + (s * 784 + p[None, :]) * Bp + m[:, None], v, mask=p[None, :] < 784)


@triton.jit(do_not_specialize=["B"])
def store_images_kernel(x, out, B, Bp, BM: tl.constexpr):
    """out[s, b, pixel] = x[s, pixel, b]. Program: 32 pixels, BM images."""
    p = tl.program_id(0) * 32 + tl.arange(0, 32)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    s = tl.program_id(2)
    v = tl.load(x + (s * 784 + p[None, :]) * Bp + m[:, None], mask=p[None, :] < 784, other=0.0)
    tl.store(out + (s * B + m[:, None]) * 784 + p[None, :], v, mask=(m[:, None] < B) & (p[None, :] < 784))


@triton.jit
def conv1_kernel(x, w1, b1, a1, a1t, Bp, BM: tl.constexpr, TRAIN: tl.constexpr):
    """a1[s, y, x, c, b] = relu(conv1); with TRAIN also a1t[s, y, x, b, c]. Program: two positions, BM images."""
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    k = tl.arange(0, 16)  # tap ky * 4 + kx
    c = tl.arange(0, 16)
    w = tl.load(w1 + s * 256 + c[None, :] * 16 + k[:, None])
    bias = tl.load(b1 + s * 16 + c)
    for i in tl.static_range(2):
        pos = tl.program_id(0) * 2 + i
        iy = 2 * (pos // 14) - 1 + k // 4
        ix = 2 * (pos % 14) - 1 + k % 4
        inside = (iy >= 0) & (iy < 28) & (ix >= 0) & (ix < 28)
        a = tl.load(x + (s * 784 + iy * 28 + ix)[None, :] * Bp + m[:, None], mask=inside[None, :], other=0.0)
        z = tl.maximum(tl.dot(a, w, input_precision="ieee") + bias[None, :], 0.0)
        tl.store(a1 + ((s * 196 + pos) * 16 + c[None, :]) * Bp + m[:, None], z)
        if TRAIN:
            tl.store(a1t + ((s * 196 + pos) * Bp + m[:, None]) * 16 + c[None, :], z)


@triton.jit
def conv2_kernel(a1, w2, b2, a2, Bp, BM: tl.constexpr):
    """a2[s, y, x, o, b] = relu(conv2). Program: one position, BM images; a turn of the loop takes two taps of 16 channels."""
    pos = tl.program_id(0)
    s = tl.program_id(2)
    oy = pos // 7
    ox = pos % 7
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    k = tl.arange(0, 32)
    n = tl.arange(0, 32)
    top = (oy == 0).to(tl.int32)
    rows = 4 - top - (oy == 6).to(tl.int32)
    acc = tl.zeros((BM, 32), tl.float32)
    a_tile = a1 + s * (196 * 16) * Bp + k[None, :] * Bp + m[:, None]
    w_tile = w2 + s * 8192 + k[:, None] * 32 + n[None, :]
    for t in range(rows * 2):
        ky = top + t // 2
        kx = (t % 2) * 2
        ix = 2 * ox - 1 + kx + k // 16
        inside = (ix >= 0) & (ix < 14)
        a = tl.load(a_tile + ((2 * oy + ky - 1) * 14 + 2 * ox + kx - 1) * 16 * Bp, mask=inside[None, :], other=0.0)
        w = tl.load(w_tile + (ky * 4 + kx) * 512)
        acc = tl.dot(a, w, acc, input_precision="ieee")
    z = acc + tl.load(b2 + s * 32 + n)[None, :]
    tl.store(a2 + ((s * 49 + pos) * 32 + n[None, :]) * Bp + m[:, None], tl.maximum(z, 0.0))


@triton.jit(do_not_specialize=["S"])
def fc1_kernel(
    a2, w3, part, S, Bp, BM: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr, BN: tl.constexpr, SPLITS: tl.constexpr
):  # fmt: skip
    """part[split, s, b, j] = a split's share of a2 w3^T, WIDTH outputs j. Program: a split and BN outputs, BM images."""
    SHARE: tl.constexpr = FEATURES // SPLITS
    split = tl.program_id(0) // (WIDTH // BN)
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    n = (tl.program_id(0) % (WIDTH // BN)) * BN + tl.arange(0, BN)
    k = split * SHARE + tl.arange(0, 16)
    acc = tl.zeros((BM, BN), tl.float32)
    a_tile = a2 + (s * FEATURES + k[None, :]) * Bp + m[:, None]
    w_tile = w3 + (s * FEATURES + k[:, None]) * WIDTH + n[None, :]
    for t in range(SHARE // 16):
        a = tl.load(a_tile + t * 16 * Bp)
        w = tl.load(w_tile + t * (16 * WIDTH))
        acc = tl.dot(a, w, acc, input_precision="ieee")
    tl.store(part + ((split * S + s) * Bp + m[:, None]) * WIDTH + n[None, :], acc)


@triton.jit
def _w4(w4, s, k, j, HIDDEN: tl.constexpr):
    """w4[k, j] of network s, zero from the tenth output and from the last hidden unit on."""
    return tl.load(w4 + (s * 10 + k[:, None]) * HIDDEN + j[None, :], mask=(k[:, None] < 10) & (j[None, :] < HIDDEN), other=0.0)


@triton.jit
def _hidden(
    part, b3, s, b, j, S, Bp, HIDDEN: tl.constexpr, WIDTH: tl.constexpr, SPLITS: tl.constexpr
):  # fmt: skip
    """a3[s, b, j] = relu(sum of the parts + b3)."""
    z3 = tl.load(b3 + s * HIDDEN + j, mask=j < HIDDEN, other=0.0)
    for i in tl.static_range(SPLITS):
        z3 += tl.load(part + ((i * S + s) * Bp + b) * WIDTH + j)
    return tl.maximum(z3, 0.0)


@triton.jit(do_not_specialize=["S", "B"])
def logits_kernel(
    part, b3, w4, b4, a3, logits, S, B, Bp, HIDDEN: tl.constexpr, WIDTH: tl.constexpr, SPLITS: tl.constexpr
):  # fmt: skip
    """a3[s, b, j] = relu(sum of the parts + b3), logits[s, b, k] = w4 a3 + b4. Program: one image."""
    b = tl.program_id(0)
    s = tl.program_id(1)
    j = tl.arange(0, WIDTH)
    k = tl.arange(0, 16)
    real = tl.where(b < B, 10, 0)  # no logits for what fills the last tile
    w = _w4(w4, s, k, j, HIDDEN)
    hidden = _hidden(part, b3, s, b, j, S, Bp, HIDDEN, WIDTH, SPLITS)
    tl.store(a3 + (s * Bp + b) * WIDTH + j, hidden)
    z = tl.sum(w * hidden[None, :], axis=1) + tl.load(b4 + s * 10 + k, mask=k < 10, other=0.0)
    tl.store(logits + (s * B + b) * 10 + k, z, mask=k < real)


@triton.jit(do_not_specialize=["B"])
def logits_back_kernel(
    g4, a3, w4, g3, g3t, g4t, B, Bp, HIDDEN: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, TRAIN: tl.constexpr
):  # fmt: skip
    """g3[s, j, b] = (w4^T g4[s, b]) where a3 > 0, zero for images from B on; with TRAIN also g3t[s, b, j] and g4t[s, b, 16].

    Program: one image.
    """
    b = tl.program_id(0)
    s = tl.program_id(1)
    j = tl.arange(0, WIDTH)
    k = tl.arange(0, 16)
    real = tl.where(b < B, 10, 0)  # no logits for what fills the last tile
    w = _w4(w4, s, k, j, HIDDEN)
    g = tl.load(g4 + (s * B + b) * 10 + k, mask=k < real, other=0.0)
    hidden = tl.load(a3 + (s * Bp + b) * WIDTH + j)
    back = tl.where(hidden > 0, tl.sum(w * g[:, None], axis=0), 0.0)
    tl.store(g3 + (s * ROWS + j) * Bp + b, back, mask=j < ROWS)
    if TRAIN:
        tl.store(g3t + (s * Bp + b) * WIDTH + j, back)
        tl.store(g4t + (s * Bp + b) * 16 + k, g)


@triton.jit(do_not_specialize=["S", "B"])
def cross_entropy_kernel(
    part, b3, w4, b4, y, logits, g3, S, B, Bp,
    HIDDEN: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """`logits_kernel`, g4 = softmax - one-hot of the label y[s, b], and `logits_back_kernel` in one. Program: one image.

    The softmax is exp(z - max - log(sum)), as in torch's cross-entropy, so that images of which the network is sure lose the
    same terms.
    """
    b = tl.program_id(0)
    s = tl.program_id(1)
    j = tl.arange(0, WIDTH)
    k = tl.arange(0, 16)
    real = tl.where(b < B, 10, 0)  # no logits for what fills the last tile
    w = _w4(w4, s, k, j, HIDDEN)
    hidden = _hidden(part, b3, s, b, j, S, Bp, HIDDEN, WIDTH, SPLITS)
    z = tl.sum(w * hidden[None, :], axis=1) + tl.load(b4 + s * 10 + k, mask=k < 10, other=0.0)
    tl.store(logits + (s * B + b) * 10 + k, z, mask=k < real)
    z = tl.where(k < 10, z, float("-inf"))
    z = z - tl.max(z, axis=0)
    label = tl.load(y + s * B + tl.minimum(b, B - 1))
    g = tl.exp(z - tl.log(tl.sum(tl.exp(z), axis=0))) - (k == label).to(tl.float32)
    back = tl.where(hidden > 0, tl.sum(w * g[:, None], axis=0), 0.0)
    tl.store(g3 + (s * ROWS + j) * Bp + b, back, mask=j < ROWS)


@triton.jit
def fc1_back_kernel(
    g3, w3_back, a2, g2, Bp, BM: tl.constexpr, FEATURES: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, STEP: tl.constexpr
):  # fmt: skip
    """g2[s, feature, b] = (w3^T g3) where a2 > 0. Program: BN of the features, BM images."""
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    k = tl.arange(0, STEP)
    acc = tl.zeros((BM, BN), tl.float32)
    for t in range(ROWS // STEP):
        j = s * ROWS + t * STEP + k
        g = tl.load(g3 + j[None, :] * Bp + m[:, None])
        w = tl.load(w3_back + j[:, None] * FEATURES + n[None, :])
        acc = tl.dot(g, w, acc, input_precision="ieee")
    at = (s * FEATURES + n[None, :]) * Bp + m[:, None]
    tl.store(g2 + at, tl.where(tl.load(a2 + at) > 0, acc, 0.0))


@triton.jit
def conv2_back_kernel(g2, w2_back, a1, w1, out, Bp, BM: tl.constexpr, TAPS: tl.constexpr):
    """g1[s, y, x, c, b] = conv2's input gradient where a1 > 0. With TAPS, out is w1^T g1, [s, y, x, tap, b], else g1.

    In padded coordinates position 2u + p of a row gets tap ky = p + 2a of output u - a, where a is 0 or 1. Program: one
    position, BM images.
    """
    i = tl.program_id(0)
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    c = tl.arange(0, 16)
    y = i // 14
    x = i % 14
    u = (y + 1) // 2
    v = (x + 1) // 2
    first_a = (u == 7).to(tl.int32)
    first_b = (v == 7).to(tl.int32)
    rows = 2 - first_a - (u == 0).to(tl.int32)
    columns = 2 - first_b - (v == 0).to(tl.int32)
    k = tl.arange(0, 32)
    acc = tl.zeros((BM, 16), tl.float32)
    g_tile = g2 + s * 1568 * Bp + k[None, :] * Bp + m[:, None]
    w_tile = w2_back + s * 8192 + k[:, None] * 32 + (((y + 1) % 2) * 4096 + ((x + 1) % 2) * 16 + c)[None, :]
    for t in range(rows * columns):
        row = t >> (columns - 1)
        a = first_a + row
        b = first_b + t - row * columns
        g = tl.load(g_tile + ((u - a) * 7 + v - b) * 32 * Bp)
        w = tl.load(w_tile + (a * 2 + b) * 1024)
        acc = tl.dot(g, w, acc, input_precision="ieee")
    at = ((s * 196 + i) * 16 + c)[None, :] * Bp + m[:, None]
    g1 = tl.where(tl.load(a1 + at) > 0, acc, 0.0)
    if TAPS:
        tap = tl.arange(0, 16)
        g1 = tl.dot(g1, tl.load(w1 + s * 256 + c[:, None] * 16 + tap[None, :]), input_precision="ieee")
    tl.store(out + at, g1)


@triton.jit
def _image_gradient(taps, s, p, m, Bp, PIX: tl.constexpr, BM: tl.constexpr):
    """The gradient of the pixels p and images m, [PIX, BM]: the sum of the at most four taps that see a pixel."""
    py = p // 28 + 1
    px = p % 28 + 1
    g = tl.zeros((PIX, BM), tl.float32)
    for t in tl.static_range(4):
        ky = py % 2 + 2 * (t // 2)
        kx = px % 2 + 2 * (t % 2)
        y = (py - ky) // 2
        x = (px - kx) // 2
        inside = (py >= ky) & (y < 14) & (px >= kx) & (x < 14)
        at = ((s * 196 + y * 14 + x) * 16 + ky * 4 + kx)[:, None] * Bp + m[None, :]
        g += tl.load(taps + at, mask=inside[:, None], other=0.0)
    return g


@triton.jit
def image_gradient_kernel(taps, gradient, Bp, BM: tl.constexpr):
    """gradient[s, pixel, b]. Program: 4 pixels, BM images."""
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    p = tl.program_id(0) * 4 + tl.arange(0, 4)
    tl.store(gradient + (s * 784 + p[:, None]) * Bp + m[None, :], _image_gradient(taps, s, p, m, Bp, 4, BM))


@triton.jit
def move(g, x_adv, x, at, epsilon, step_size):
    """In place on the pixels of x_adv: a step along the sign of their gradient g, then projection."""
    clean = tl.load(x + at)
    moved = tl.load(x_adv + at) + step_size * ((g > 0).to(tl.float32) - (g < 0).to(tl.float32))
    lowest = tl.maximum(clean - epsilon, 0.0)
    highest = tl.minimum(clean + epsilon, 1.0)
    tl.store(x_adv + at, tl.minimum(tl.maximum(moved, lowest), highest))


@triton.jit
def ascend_kernel(taps, x_adv, x, epsilon, step_size, Bp, BM: tl.constexpr):
    """In place on x_adv[s, pixel, b]: a step along the gradient's sign, then projection. Program: 4 pixels, BM images."""
    s = tl.program_id(2)
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    p = tl.program_id(0) * 4 + tl.arange(0, 4)
    at = (s * 784 + p[:, None]) * Bp + m[None, :]
    move(_image_gradient(taps, s, p, m, Bp, 4, BM), x_adv, x, at, epsilon, step_size)


class Tiles(NamedTuple):
    """How a batch is laid out: S networks, B images each, in tiles of BM."""

    S: int
    B: int
    BM: int

    @property
    def of_network(self) -> int:
        """Tiles of a network."""
        return -(-self.B // self.BM)

    @property
    def Bp(self) -> int:
        """Images of a network with those that fill the last tile."""
        return self.of_network * self.BM

    def grid(self, programs: int) -> tuple[int, int, int]:
        """The grid of a kernel that has so many programs for a tile of images."""
        return programs, self.of_network, self.S


def tiles(networks: int, images: int) -> Tiles:
    """How a batch of images for each of some networks is laid out."""
    return Tiles(networks, images, TILE if networks * images < LARGE else 2 * TILE)


def arrange(w: Weights) -> Arranged:
    """w2 and w3 as the kernels read them: once for each attack or training step."""
    S = len(w.w1)
    arranged = Arranged(*(w.w2.new_empty(S, *shape) for shape in ((256, 32), (2, 128, 32), (1568, 128), (112, 1568))))
    arrange_kernel[(68, S)](w.w2, w.w3, *arranged, num_warps=4)
    return arranged


def load_images(x: Tensor, t: Tiles) -> Tensor:
    """Images [S, B, 1, 28, 28] in the kernels' layout, [S, 784, Bp]."""
    out = x.new_empty(t.S, 784, t.Bp)
    load_images_kernel[t.grid(25)](x.contiguous(), out, t.B, t.Bp, BM=t.BM, num_warps=4)
    return out


def store_images(x: Tensor, t: Tiles) -> Tensor:
    """Images [S, B, 1, 28, 28] from the kernels' layout."""
    out = x.new_empty(t.S, t.B, 1, 28, 28)
    store_images_kernel[t.grid(25)](x, out, t.B, t.Bp, BM=t.BM, num_warps=4)
    return out


class Maps(NamedTuple):
    """What a forward pass leaves up to the hidden layer."""

    a1: Tensor
    """[S, 196, 16, Bp]."""
    a1t: Tensor
    """[S, 196, Bp, 16] in training, else one float."""
    a2: Tensor
    """[S, 49, 32, Bp]."""
    part: Tensor
    """[SPLITS, S, Bp, 128]."""


def to_hidden(features: Tensor, w3: Tensor, t: Tiles, *, splits: int, outputs: int) -> Tensor:
    """The hidden layer's parts [splits, S, Bp, WIDTH] from features [S, ..., Bp] and w3 [S, FEATURES, WIDTH].

    A program makes so many `outputs` of the WIDTH, from one of the `splits` of the features.
    """
    _, count, width = w3.shape
    part = features.new_empty(splits, t.S, t.Bp, width)
    fc1_kernel[t.grid(width // outputs * splits)](
        features, w3, part, t.S, t.Bp, BM=t.BM, FEATURES=count, WIDTH=width, BN=outputs, SPLITS=splits,
        num_warps=4, num_stages=4,
    )  # fmt: skip
    return part


def back_to_features(g3: Tensor, w3_back: Tensor, features: Tensor, t: Tiles, *, outputs: int, step: int = 16) -> Tensor:
    """Gradient of the features [S, ..., Bp] where they are above zero, from g3 [S, ROWS, Bp] and w3_back [S, ROWS, FEATURES].

    A program makes so many `outputs` of the FEATURES, from so many of the ROWS at a `step`.
    """
    _, rows, count = w3_back.shape
    g2 = torch.empty_like(features)
    fc1_back_kernel[t.grid(count // outputs)](
        g3, w3_back, features, g2, t.Bp, BM=t.BM, FEATURES=count, ROWS=rows, BN=outputs, STEP=step, num_warps=4, num_stages=4
    )
    return g2


def forward(w: Weights, arranged: Arranged, x: Tensor, t: Tiles, *, train: bool) -> Maps:
    """From images [S, 784, Bp] to the parts of the hidden layer."""
    a1, a1t = x.new_empty(t.S, 196, 16, t.Bp), x.new_empty((t.S, 196, t.Bp, 16) if train else 1)
    a2 = x.new_empty(t.S, 49, 32, t.Bp)
    conv1_kernel[t.grid(98)](x, w.w1, w.b1, a1, a1t, t.Bp, BM=t.BM, TRAIN=train, num_warps=2)
    conv2_kernel[t.grid(49)](a1, arranged.w2, w.b2, a2, t.Bp, BM=t.BM, num_warps=4, num_stages=3)
    return Maps(a1, a1t, a2, to_hidden(a2, arranged.w3, t, splits=SPLITS, outputs=32))


def logits(w: Weights, part: Tensor, t: Tiles) -> tuple[Tensor, Tensor]:
    """The logits [S, B, 10], and the hidden layer [S, Bp, WIDTH], from its parts [SPLITS, S, Bp, WIDTH]."""
    a3, z = torch.empty_like(part[0]), part.new_empty(t.S, t.B, 10)
    logits_kernel[(t.Bp, t.S)](part, w.b3, w.w4, w.b4, a3, z, t.S, t.B, t.Bp, **_head(w, part), SPLITS=len(part))
    return z, a3


def back_to_hidden(w: Weights, g4: Tensor, a3: Tensor, t: Tiles, *, rows: int, train: bool) -> tuple[Tensor, Tensor, Tensor]:
    """g3 [S, rows, Bp] from g4 [S, B, 10]; for training also g3 as a3 and g4 as [S, Bp, 16], else one float each."""
    g3 = a3.new_empty(t.S, rows, t.Bp)
    g3t, g4t = (torch.empty_like(a3), a3.new_empty(t.S, t.Bp, 16)) if train else (a3.new_empty(1), a3.new_empty(1))
    logits_back_kernel[(t.Bp, t.S)](g4.contiguous(), a3, w.w4, g3, g3t, g4t, t.B, t.Bp, **_head(w, a3), ROWS=rows, TRAIN=train)
    return g3, g3t, g4t


def cross_entropy(w: Weights, part: Tensor, y: Tensor, t: Tiles, *, rows: int) -> tuple[Tensor, Tensor]:
    """The logits [S, B, 10] from the hidden layer's parts [SPLITS, S, Bp, WIDTH], and g3 [S, rows, Bp] for labels y [S, B]."""
    z, g3 = part.new_empty(t.S, t.B, 10), part.new_empty(t.S, rows, t.Bp)
    cross_entropy_kernel[(t.Bp, t.S)](
        part, w.b3, w.w4, w.b4, y, z, g3, t.S, t.B, t.Bp, **_head(w, part), ROWS=rows, SPLITS=len(part)
    )
    return z, g3


def _head(w: Weights, hidden: Tensor) -> dict[str, int]:
    """How a kernel is launched that has a program for an image and rows of `hidden`."""
    width = hidden.shape[-1]
    return {"HIDDEN": w.w4.shape[-1], "WIDTH": width, "num_warps": 2 if width <= 128 else 8}


def back_to_maps(arranged: Arranged, g3: Tensor, maps: Maps, t: Tiles) -> Tensor:
    """g2 [S, 49, 32, Bp] from g3 [S, 112, Bp]."""
    return back_to_features(g3, arranged.w3_back, maps.a2, t, outputs=32)


def back_to_taps(w: Weights, arranged: Arranged, g2: Tensor, maps: Maps, t: Tiles) -> Tensor:
    """For each position of a1 what each tap of conv1 hands back to the images, [S, 196, 16, Bp]."""
    return _conv2_back(w, arranged, g2, maps, t, taps=True)


def back_to_first_maps(w: Weights, arranged: Arranged, g2: Tensor, maps: Maps, t: Tiles) -> Tensor:
    """g1 [S, 196, 16, Bp]."""
    return _conv2_back(w, arranged, g2, maps, t, taps=False)


def _conv2_back(w: Weights, arranged: Arranged, g2: Tensor, maps: Maps, t: Tiles, *, taps: bool) -> Tensor:
    out = torch.empty_like(maps.a1)
    conv2_back_kernel[t.grid(196)](
        g2, arranged.w2_back, maps.a1, w.w1, out, t.Bp, BM=t.BM, TAPS=taps, num_warps=2, num_stages=3
    )
    return out


def image_gradient(taps: Tensor, t: Tiles) -> Tensor:
    """The images' gradient [S, B, 1, 28, 28] from what the taps hand back."""
    gradient = taps.new_empty(t.S, 784, t.Bp)
    image_gradient_kernel[t.grid(196)](taps, gradient, t.Bp, BM=t.BM, num_warps=2)
    return store_images(gradient, t)


def ascend(
    w: Weights, arranged: Arranged, x_adv: Tensor, x: Tensor, y: Tensor, t: Tiles, *, epsilon: float, step_size: float
) -> Tensor:
    """One step on the cross-entropy, in place on x_adv [S, 784, Bp]; returns the logits [S, B, 10] where it started.

    Args:
        w: the networks' weights.
        arranged: of w.
        x_adv: where the step starts, [S, 784, Bp].
        x: clean images, [S, 784, Bp].
        y: labels, [S, B], int64, contiguous.
        t: the layout.
        epsilon: radius of the budget.
        step_size: length of the step.
    """
    maps = forward(w, arranged, x_adv, t, train=False)
    z, g3 = cross_entropy(w, maps.part, y, t, rows=112)
    taps = back_to_taps(w, arranged, back_to_maps(arranged, g3, maps, t), maps, t)
    ascend_kernel[t.grid(196)](taps, x_adv, x, epsilon, step_size, t.Bp, BM=t.BM, num_warps=2)
    return z
