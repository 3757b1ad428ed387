"""The pointwise functions of the language in Triton, float32 and float64. Needs triton: generated code imports it.

A number that stands beside a tensor takes its type, but in `tl.where` it is a float32: there only 0, 1 and the like.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def exp(x: tl.tensor) -> tl.tensor:
    return tl.exp(x)


@triton.jit
def log(x: tl.tensor) -> tl.tensor:
    return tl.log(x)


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """By exp; near 0, where that cancels, Lambert's continued fraction x/(1 + x²/(3 + x²/(5 + …))) cut at 15, as x less
    one quotient: below 0.625 that is within 1e-17 of the value."""
    size = tl.abs(x)
    z = tl.where(size < 0.625, x * x, 0.0)
    above = (((z + 594.0) * z + 45045.0) * z + 675675.0) * z
    below = (((z + 630.0) * z + 51975.0) * z + 945945.0) * z + 2027025.0
    far = 1.0 - 2.0 / (tl.exp(2.0 * size) + 1.0)
    return tl.where(size < 0.625, x - x * (above / below), tl.where(x < 0.0, -far, far))


@triton.jit
def relu(x: tl.tensor) -> tl.tensor:
    return tl.where(x < 0.0, 0.0, x)


@triton.jit
def softplus(x: tl.tensor) -> tl.tensor:
    """max(x, 0) + log(1 + e) with e = exp(-|x|) <= 1, by the series 2 (s + s³/3 + s⁵/5 + …) for s = e/(2 + e) <= 1/3,
    whose 17 terms are enough for float64; over 20 it is x, as in torch."""
    e = tl.exp(-tl.abs(x))
    s = e / (2.0 + e)
    z = s * s
    series = z * 0.0 + 1.0 / 33.0
    for k in tl.static_range(16):
        series = series * z + 1.0 / (31.0 - 2.0 * k)
    return tl.where(x > 20.0, x, tl.where(x < 0.0, 0.0, x) + 2.0 * s * series)


@triton.jit
def hard_sigmoid(x: tl.tensor) -> tl.tensor:
    return _clamp(x + 3.0, 0.0, 6.0) / 6.0


@triton.jit
def hard_tanh(x: tl.tensor) -> tl.tensor:
    return _clamp(x, -1.0, 1.0)


@triton.jit
def _clamp(x: tl.tensor, low: tl.constexpr, high: tl.constexpr) -> tl.tensor:
    """Keeps what is no number."""
    return tl.where(x < low, low, tl.where(x > high, high, x))


@triton.jit
def maximum(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """b where it is greater or no number."""
    return tl.where((b > a) | (b != b), b, a)


@triton.jit
def step(x: tl.tensor) -> tl.tensor:
    """1 where x is positive, else 0, in x's type."""
    return (x > 0.0).to(x.dtype)
