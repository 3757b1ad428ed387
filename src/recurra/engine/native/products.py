"""Products over all steps: our own tiles where they are the faster ones, else torch's.

Measured on a Zen 4, in billions of operations a second and thread: our tiles 90 to 110, with AVX2 as with AVX-512, MKL
60 to 95 beside them. They are cut for wide factors, so narrow ones, and all on processors without AVX2, stay torch's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engine.demands import rows
from recurra.engine.native import build, memory
from recurra.engine.native.machine import REALS, kernel, pack
from recurra.engine.short import multiplies

FEWEST = 1024
"""Rows over which a product that packs its factors first is the faster one."""
SPANS = {"avx512-bf16": 64, "avx512": 64, "avx2": 16}
"""Columns of a panel of tiles, by instruction set; without one of these torch is faster. Where a factor leaves more
than a tenth of its panels empty, torch is as fast."""
NARROWEST = 64
"""Rows, columns and depth below which a product stays torch's."""
ROWS_A_THREAD = 24
"""Rows of a product that a thread of its own is woken for."""
ENTRIES_A_THREAD = 1 << 16
"""Entries that are rounded for which one is."""


def product(a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None = None) -> None:
    """out [M, K] = a [M, N] · b [N, K] + bias [K]; the factors are of the type of `out`, or `rounded` ones."""
    if a.dtype == torch.bfloat16:
        short = memory.empty(out.numel(), torch.bfloat16).view(out.shape)
        out.copy_(torch.mm(a, b, out=short))
        if bias is not None:
            out += bias
    elif not _ours(a, b):
        if bias is None:
            torch.mm(a, b, out=out)
        else:
            torch.addmm(bias, a, b, out=out)
    elif a.stride(1) == 1:
        _multiply(a, b, out, bias)
    else:
        _sum_of_rows(a.t(), rows(b), out)
        if bias is not None:
            out += bias


def _ours(a: Tensor, b: Tensor) -> bool:
    (m, n), k = a.shape, b.shape[1]
    span = SPANS.get(build.instructions())
    if span is None or 1 not in a.stride() or min(m, n, k) < NARROWEST:
        return False
    longest = m if a.stride(1) == 1 else n
    return longest >= FEWEST and -k % span <= k / 10


def _threads(count: int) -> int:
    return max(1, min(torch.get_num_threads(), count // ROWS_A_THREAD))


def _multiply(a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None) -> None:
    panels, depth = pack(b.t(), 1, bias)
    count, units = out.shape
    kernel(REALS[a.dtype]).recurra_multiply(
        a.data_ptr(),
        a.stride(0),
        count,
        panels.data_ptr(),
        depth,
        units,
        out.data_ptr(),
        out.stride(0),
        _threads(count),
    )


def _sum_of_rows(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Σ over the rows of a [N, M] and b [N, K] of their outer products."""
    count, columns = out.shape
    threads = _threads(count)
    library = kernel(REALS[a.dtype])
    room = memory.empty(threads * library.recurra_summing_room(columns), a.dtype)
    factors = (a.data_ptr(), a.stride(0), b.data_ptr(), b.stride(0), len(a), count, columns)
    library.recurra_sum_of_rows(*factors, out.data_ptr(), out.stride(0), threads, room.data_ptr())


def rounded(t: Tensor) -> Tensor:
    """t rounded to bfloat16 for a product over all steps: of that type, or of float32 where that is the faster one."""
    if multiplies(t.device):
        return memory.empty(t.numel(), torch.bfloat16).view(t.shape).copy_(t)
    found, t = memory.empty(t.numel(), torch.float32).view(t.shape), t.contiguous()
    threads = max(1, min(torch.get_num_threads(), t.numel() // ENTRIES_A_THREAD))
    kernel(REALS[t.dtype]).recurra_round(t.data_ptr(), t.numel(), found.data_ptr(), threads)
    return found
