"""Products over all steps: our tiles and torch's give the same."""

from __future__ import annotations

import math

import pytest
import torch

from recurra.engine.native import products
from recurra.engine.native.build import instructions
from recurra.engine.native.machine import REALS
from recurra.engine.native.products import FEWEST, SPANS, product, rounded

TILED = pytest.mark.skipif(instructions() not in SPANS, reason=f"{instructions()} is left to torch")


def _factors(
    rows: int, depth: int, columns: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(rows + depth + columns)
    return (
        torch.randn(rows, depth, dtype=dtype),
        torch.randn(depth, columns, dtype=dtype),
        torch.randn(columns, dtype=dtype),
    )


@TILED
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(FEWEST, 64, 64), (FEWEST + 5, 101, 637), (FEWEST + 1, 67, 128)]
)
def test_our_tiles_multiply_as_torch_does(
    rows: int, depth: int, columns: int, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, bias = _factors(rows, depth, columns, dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    monkeypatch.setattr(torch, "mm", None)
    monkeypatch.setattr(torch, "addmm", None)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    try:
        out = a.new_empty(rows, columns)
        product(a, b, out, bias)
        assert torch.allclose(out, torch.matmul(a, b) + bias, tolerance, tolerance * depth)
        out = a.new_empty(rows, columns + 3)[:, :columns]  # rows apart in memory
        product(a, b, out)
        assert torch.allclose(out, torch.matmul(a, b), tolerance, tolerance * depth)
    finally:
        torch.set_num_threads(before)


@TILED
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(
    ("rows", "left", "right"), [(FEWEST, 64, 64), (FEWEST + 7, 101, 637), (2 * FEWEST + 1, 200, 192)]
)
def test_our_sums_of_rows_are_torchs_products(
    rows: int, left: int, right: int, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(rows)
    a, b = torch.randn(rows, left + 2, dtype=dtype)[:, :left], torch.randn(rows, right, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    monkeypatch.setattr(torch, "mm", None)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    out = a.new_empty(left, right)
    try:
        product(a.t(), b, out)
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(out, torch.matmul(a.t(), b), tolerance, tolerance * rows)


@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(3, 64, 64), (FEWEST, 1, 64), (FEWEST, 64, 1), (FEWEST, 64, 70), (0, 64, 64)]
)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("low", [False, True])
def test_what_does_not_fit_our_tiles_is_torchs(
    rows: int, depth: int, columns: int, low: bool, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, bias = _factors(rows, depth, columns, torch.float32)
    short = (a.bfloat16(), b.bfloat16()) if low else (a, b)
    exact = torch.matmul(short[0].double(), short[1].double())
    monkeypatch.setattr(products, "multiplies", lambda device: own)
    factors = (rounded(a), rounded(b)) if low else (a, b)
    assert factors[0].dtype == (torch.bfloat16 if low and own else torch.float32)
    assert torch.equal(factors[0].float(), short[0].float()) and torch.equal(factors[1].float(), short[1].float())
    monkeypatch.setattr(products, "kernel", None)
    loose = low and own  # results of bfloat16
    for given in (None, bias):
        out = a.new_empty(rows, columns)
        product(*factors, out, given)
        wanted = exact + (0 if given is None else given)
        assert torch.allclose(out.double(), wanted, 2e-2 if loose else 1e-5, 0.3 if loose else 1e-4)


def test_rounding_is_torchs() -> None:
    torch.manual_seed(0)
    numbers = torch.randn(5, 1000) * 10.0 ** torch.arange(-37, 38, 15)[:, None]
    numbers[0, :6] = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 3.4e38])
    found = products.rounded(numbers.t())  # strided
    assert torch.equal(
        found.float().nan_to_num(7.0, 8.0, 9.0), numbers.t().bfloat16().float().nan_to_num(7.0, 8.0, 9.0)
    )
