"""Kernels of training: the gradients of the weights of S small_cnn networks at once, and a step of Adam.

Layout and names are those of attack_kernels.py. The gradients take over where a backward pass has left g4, g3, g2 and g1;
what is left are products that reduce over images and positions. Each program reduces a share of them, and `finish_kernel`
sums the shares in a fixed order.
"""

import triton
import triton.language as tl
from torch import Tensor

from advtrain.fast.attack_kernels import Maps, Tiles, Weights

BLOCK = 32
"""Images of a turn of a loop."""
SHARES = 2
"""Parts of a batch, one a program."""


@triton.jit
def w3_kernel(a2, g3t, out, Bp, BLOCK: tl.constexpr):
    """out[s, j, (o, position)] = sum over b of g3[b, j] a2[position, o, b]. Program: a channel o, 49 positions, all outputs."""
    o = tl.program_id(0)
    s = tl.program_id(1)
    p = tl.arange(0, 64)
    j = tl.arange(0, 128)
    b = tl.arange(0, BLOCK)
    acc = tl.zeros((64, 128), tl.float32)
    a_tile = a2 + (s * 1568 + p[:, None] * 32 + o) * Bp + b[None, :]
    g_tile = g3t + (s * Bp + b[:, None]) * 128 + j[None, :]
    for t in range(Bp // BLOCK):
        a = tl.load(a_tile + t * BLOCK, mask=p[:, None] < 49, other=0.0)
        g = tl.load(g_tile + t * (BLOCK * 128))
        acc = tl.dot(a, g, acc, input_precision="ieee")
    tl.store(out + s * 156800 + j[None, :] * 1568 + o * 49 + p[:, None], acc, mask=(p[:, None] < 49) & (j[None, :] < 100))


@triton.jit(do_not_specialize=["S"])
def w2_kernel(a1t, g2, part, S, Bp, BLOCK: tl.constexpr, SHARES: tl.constexpr):
    """part[(oy, share), s, ky, o, (kx, c)] = sum over ox, a share's b of g2[oy, ox, o, b] a1[2oy + ky - 1, 2ox + kx - 1, c, b].

    Program: (oy, share, ky), 32 outputs times 64 inputs.
    """
    i = tl.program_id(0)
    s = tl.program_id(1)
    ky = i % 4
    share = (i // 4) % SHARES
    oy = i // (4 * SHARES)
    iy = 2 * oy + ky - 1
    o = tl.arange(0, 32)
    n = tl.arange(0, 64)
    k = tl.arange(0, BLOCK)
    acc = tl.zeros((32, 64), tl.float32)
    blocks = Bp // (BLOCK * SHARES)
    for t in range(tl.where((iy >= 0) & (iy < 14), 7 * blocks, 0)):
        ox = t // blocks
        b = (share * blocks + t % blocks) * BLOCK + k
        ix = 2 * ox - 1 + n // 16
        g = tl.load(g2 + ((s * 49 + oy * 7 + ox) * 32 + o[:, None]) * Bp + b[None, :])
        at = (s * 196 + iy * 14 + ix)[None, :] * (Bp * 16) + b[:, None] * 16 + (n % 16)[None, :]
        a = tl.load(a1t + at, mask=((ix >= 0) & (ix < 14))[None, :], other=0.0)
        acc = tl.dot(g, a, acc, input_precision="ieee")
    tl.store(part + (((oy * SHARES + share) * S + s) * 4 + ky) * 2048 + o[:, None] * 64 + n[None, :], acc)


@triton.jit(do_not_specialize=["S"])
def w1_kernel(x, g1, part, S, Bp, BLOCK: tl.constexpr, SHARES: tl.constexpr):
    """part[(oy, half, share), s, c, tap] = sum over half of ox and a share's b of g1[oy, ox, c, b] x[the tap's pixel, b].

    Program: (oy, half, share), 16 channels times 16 taps.
    """
    i = tl.program_id(0)
    s = tl.program_id(1)
    share = i % SHARES
    half = (i // SHARES) % 2
    oy = i // (2 * SHARES)
    c = tl.arange(0, 16)
    tap = tl.arange(0, 16)
    k = tl.arange(0, BLOCK)
    iy = 2 * oy - 1 + tap // 4
    acc = tl.zeros((16, 16), tl.float32)
    blocks = Bp // (BLOCK * SHARES)
    for t in range(7 * blocks):
        ox = half * 7 + t // blocks
        b = (share * blocks + t % blocks) * BLOCK + k
        ix = 2 * ox - 1 + tap % 4
        inside = (iy >= 0) & (iy < 28) & (ix >= 0) & (ix < 28)
        g = tl.load(g1 + ((s * 196 + oy * 14 + ox) * 16 + c[:, None]) * Bp + b[None, :])
        a = tl.load(x + (s * 784 + iy * 28 + ix)[None, :] * Bp + b[:, None], mask=inside[None, :], other=0.0)
        acc = tl.dot(g, a, acc, input_precision="ieee")
    tl.store(part + (i * S + s) * 256 + c[:, None] * 16 + tap[None, :], acc)


@triton.jit
def _total(base, ROWS: tl.constexpr, stride, Bp, R: tl.constexpr):
    """The sum of ROWS rows of Bp floats, `stride` apart, R rows of 16 floats at a time."""
    r = tl.arange(0, R)
    m = tl.arange(0, 16)
    acc = tl.zeros((R, 16), tl.float32)
    for t in range(Bp // 16):
        for i in tl.static_range((ROWS + R - 1) // R):
            row = i * R + r
            acc += tl.load(base + row[:, None] * stride + t * 16 + m[None, :], mask=row[:, None] < ROWS, other=0.0)
    return tl.sum(tl.sum(acc, axis=1), axis=0)


@triton.jit
def _row_of_w4(a3, g4t, w4, b4, s, k, Bp):
    """Row k of w4's gradient, sum over b of g4[b, k] a3[b, j], and of b4's."""
    b = tl.arange(0, 16)
    j = tl.arange(0, 128)
    acc = tl.zeros((16, 128), tl.float32)
    bias = tl.zeros((16,), tl.float32)
    for t in range(Bp // 16):
        at = s * Bp + t * 16 + b
        g = tl.load(g4t + at * 16 + k)
        acc += g[:, None] * tl.load(a3 + at[:, None] * 128 + j[None, :])
        bias += g
    tl.store(w4 + s * 1000 + k * 100 + j, tl.sum(acc, axis=0), mask=j < 100)
    tl.store(b4 + s * 10 + k, tl.sum(bias, axis=0))


@triton.jit
def _sixteenth_of_w2(part, w2, s, i, S, PARTS: tl.constexpr):
    e = i * 512 + tl.arange(0, 512)  # o * 256 + c * 16 + ky * 4 + kx
    source = ((e // 4) % 4) * 2048 + (e // 256) * 64 + (e % 4) * 16 + (e // 16) % 16
    acc = tl.zeros((512,), tl.float32)
    for p in range(PARTS):
        acc += tl.load(part + (p * S + s) * 8192 + source)
    tl.store(w2 + s * 8192 + e, acc)


@triton.jit
def _w1(part, w1, s, S, PARTS: tl.constexpr):
    e = tl.arange(0, 256)
    acc = tl.zeros((256,), tl.float32)
    for p in range(PARTS):
        acc += tl.load(part + (p * S + s) * 256 + e)
    tl.store(w1 + s * 256 + e, acc)


@triton.jit(do_not_specialize=["S"])
def finish_kernel(
    g1, g2, g3, g4t, a3, part1, part2, w1, b1, w2, b2, b3, w4, b4, S, Bp, PARTS1: tl.constexpr, PARTS2: tl.constexpr
):  # fmt: skip
    """What is left. Program (i, s): i < 16 a bias of conv1, < 48 of conv2, < 148 of the hidden layer, < 158 a row of w4 and its
    bias, < 174 a sixteenth of w2, 174 w1."""
    i = tl.program_id(0)
    s = tl.program_id(1)
    if i < 16:
        tl.store(b1 + s * 16 + i, _total(g1 + (s * 3136 + i) * Bp, 196, 16 * Bp, Bp, 64))
    elif i < 48:
        tl.store(b2 + s * 32 + i - 16, _total(g2 + (s * 1568 + i - 16) * Bp, 49, 32 * Bp, Bp, 64))
    elif i < 148:
        tl.store(b3 + s * 100 + i - 48, _total(g3 + (s * 112 + i - 48) * Bp, 1, Bp, Bp, 1))
    elif i < 158:
        _row_of_w4(a3, g4t, w4, b4, s, i - 148, Bp)
    elif i < 174:
        _sixteenth_of_w2(part2, w2, s, i - 158, S, PARTS2)
    else:
        _w1(part1, w1, s, S, PARTS1)


def weight_gradients(
    x: Tensor, maps: Maps, a3: Tensor, g1: Tensor, g2: Tensor, g3: Tensor, g3t: Tensor, g4t: Tensor, t: Tiles
) -> Weights:
    """The gradients of all weights, summed over the images, in torch's layout.

    Args:
        x: images, [S, 784, Bp].
        maps: of the forward pass, made with `train`.
        a3: hidden layer, [S, Bp, 128].
        g1: [S, 196, 16, Bp].
        g2: [S, 49, 32, Bp].
        g3: [S, 112, Bp].
        g3t: the same as [S, Bp, 128].
        g4t: gradient of the logits, [S, Bp, 16].
        t: the layout; what fills the last tile has zero gradients.
    """
    shapes = ((16, 1, 4, 4), (16,), (32, 16, 4, 4), (32,), (100, 1568), (100,), (10, 100), (10,))
    w = Weights(*(x.new_empty(t.S, *shape) for shape in shapes))
    part1, part2 = x.new_empty(28 * SHARES, t.S, 256), x.new_empty(7 * SHARES, t.S, 8192)
    w3_kernel[(32, t.S)](maps.a2, g3t, w.w3, t.Bp, BLOCK=BLOCK, num_warps=8, num_stages=3)
    w2_kernel[(28 * SHARES, t.S)](maps.a1t, g2, part2, t.S, t.Bp, BLOCK=BLOCK, SHARES=SHARES, num_warps=4, num_stages=3)
    w1_kernel[(28 * SHARES, t.S)](x, g1, part1, t.S, t.Bp, BLOCK=BLOCK, SHARES=SHARES, num_warps=2, num_stages=3)
    finish_kernel[(175, t.S)](
        g1, g2, g3, g4t, a3, part1, part2, w.w1, w.b1, w.w2, w.b2, w.b3, w.w4, w.b4, t.S, t.Bp,
        PARTS1=28 * SHARES, PARTS2=7 * SHARES, num_warps=4,
    )  # fmt: skip
    return w


@triton.jit
def _descend(i, w, g, m, v, unbias1, unbias2, rate, beta1, beta2, eps, decay, N):
    """w -= rate m' / (sqrt(v') + eps), in place on w, m and v [N]: elements 1024 i to 1024 i + 1023."""
    i = i * 1024 + tl.arange(0, 1024)
    inside = i < N
    weight = tl.load(w + i, mask=inside, other=0.0)
    gradient = tl.load(g + i, mask=inside, other=0.0) + decay * weight
    mean = beta1 * tl.load(m + i, mask=inside, other=0.0) + (1 - beta1) * gradient
    square = beta2 * tl.load(v + i, mask=inside, other=0.0) + (1 - beta2) * gradient * gradient
    tl.store(m + i, mean, mask=inside)
    tl.store(v + i, square, mask=inside)
    moved = weight - rate / unbias1 * mean / (tl.sqrt(square) / tl.sqrt(unbias2) + eps)
    tl.store(w + i, moved, mask=inside)


@triton.jit
def adam_kernel(
    w, g, m, v, step, rate, beta1, beta2, eps, decay,
    N: tl.constexpr, LOG1: tl.constexpr, LOG2: tl.constexpr, ON_DEVICE: tl.constexpr,
):  # fmt: skip
    """A step of torch.optim.Adam, in place on w, m and v: each, as g, a tuple of tensors of N elements.

    Program: 1,024 elements of one tensor; the first tensor's programs come first. LOG1 and LOG2 are the logarithms of beta1 and
    beta2; with ON_DEVICE `rate` is where the learning rate lies.
    """
    if ON_DEVICE:
        rate = tl.load(rate)
    t = tl.load(step).to(tl.float64)  # 1 - beta2 ** t has lost three digits in float32
    unbias1 = (1 - tl.exp(t * LOG1)).to(tl.float32)
    unbias2 = (1 - tl.exp(t * LOG2)).to(tl.float32)
    i = tl.program_id(0)
    for k in tl.static_range(len(N)):
        if (i >= 0) & (i < tl.cdiv(N[k], 1024)):
            _descend(i, w[k], g[k], m[k], v[k], unbias1, unbias2, rate, beta1, beta2, eps, decay, N[k])
        i -= tl.cdiv(N[k], 1024)
