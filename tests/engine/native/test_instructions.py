"""All instruction sets mean the same, each in a process of its own."""

from __future__ import annotations

import pytest
import torch

from recurra.engine.native import build, products

CELLS = ("lstm", "gru-reset-before", "layer-norm-lstm", "min-gru")
CHECKS = """
import torch
from recurra.engine.native import build, machine
from recurra.nn import Recurrent
from recurra.registry import find
from recurra.testing import cells

assert build.instructions() == INSTRUCTIONS, build.instructions()
cells.backends = lambda cell: ["reference", "native"]
chosen = [c for c in cells.CONFIGURATIONS if c.name in ("one layer", "bidirectional lengths", "truncated lengths")]
assert len(chosen) == 3

def gradients(layer, x, short):
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        y, state = layer(x, None, torch.tensor([9, 3, 11, 0, 7]))
    leaves = [x, *layer.parameters()]
    return [y, *torch.autograd.grad((y.float() * weight).sum(), leaves)]

for name in CELLS:
    cell = find("cell", name)
    for configuration in chosen:
        cells.check_equal(cell, configuration)
    cells.check_float32(cell)
    torch.manual_seed(0)
    layer, x, weight = Recurrent(cell, 37, 37), torch.randn(11, 5, 37), torch.randn(11, 5, 37)
    found = {}
    for backend in ("reference", "torch", "native"):
        layer.backend = backend
        found[backend] = gradients(layer, x, backend != "reference")
    exact = found["reference"]
    for k, (value, oracle, truth) in enumerate(zip(found["native"], found["torch"], exact, strict=True)):
        error, own = cells.relative(value, oracle), cells.relative(oracle, truth)
        # A norm of rows that are nearly constant makes much of roundings, the torch backend's too.
        assert error <= max(2e-2, own), (name, k, error, own)
    rounded = cells.relative(found["native"][0], exact[0])
    assert rounded > 1e-4, (name, rounded)  # the products are short indeed
print("done")
"""
STEPS = """
import torch
from recurra.engine.native import build
from recurra.nn import Recurrent, Step
from recurra.testing.cells import relative

assert build.instructions() == INSTRUCTIONS, build.instructions()

def integers(t, half):
    # Rows of eight bits as numbers, and their scales; weights are rounded half away from zero, the other factor up.
    scale = t.abs().amax(1, keepdim=True) / 127
    return ((t / scale).double() + half).floor() if half else (t / scale).double().round(), scale.double()

def product(v, w, weights):
    if weights == "bfloat16":
        return v.bfloat16().double() @ w.bfloat16().double().t()
    if weights == "int8":
        (a, left), (b, right) = integers(v, 0.5), integers(w, 0)
        return a @ b.t() * left * right.t()
    return v.double() @ w.double().t()

def expected(layer, x, h, c, weights):
    parts = product(x, layer.weight_ih_l0, weights) + product(h, layer.weight_hh_l0, weights)
    i, f, g, o = (parts + layer.bias_ih_l0 + layer.bias_hh_l0).chunk(4, 1)
    c = f.sigmoid() * c.double() + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c

for hidden, inputs in ((20, 7), (37, 37), (128, 66)):
    for batch in (1, 2, 3, 5, 8, 13):
        for weights in ("float32", "bfloat16", "int8"):
            torch.manual_seed(hidden + batch)
            layer = Recurrent("lstm", inputs, hidden).eval()
            x, h, c = torch.randn(batch, inputs), torch.randn(1, batch, hidden), torch.randn(1, batch, hidden)
            step = Step(layer, batch, weights)
            y, after = step(x, step.join((h, c)))
            with torch.no_grad():
                h_after, c_after = expected(layer, x, h[0], c[0], weights)
            for mine, theirs in ((y, h_after), (step.split(after)[1][0], c_after)):
                most = 1e-3 if weights == "int8" else 2e-6  # a factor half way between two integers may be either
                assert relative(mine, theirs) < most, (hidden, batch, weights, relative(mine, theirs))
            if weights == "int8":  # what is no number is no number afterwards either
                x[0, 1] = float("nan")
                y = step(x, step.join((h, c)))[0]
                assert y[0].isnan().all() and not y[1:].isnan().any()
print("done")
"""

TILES = """
import inspect
import torch
from recurra.engine.native import products
from recurra.equations.language import Cell
from recurra.nn import Recurrent
from recurra.registry import find
from recurra.testing.cells import EXACT, relative

torch.manual_seed(0)
NAMES = [f"g{k}" for k in range(25)]

def many(**given):
    return sum(given[name] * (-1) ** k for k, name in enumerate(NAMES)) / 5 + given["h"] / 2

many.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in (*NAMES, "h")])
MANY = Cell("many", tuple(NAMES), ("h",), many, "more gates than two blocks of units leave room for", True, {})

# Every number of rows that a tile may have, and units that leave vectors and panels partly empty.
for cell in (*(find("cell", n) for n in ("rnn-tanh", "mgu", "gru", "lstm")), MANY):
    for units in (7, 19, 33):
        layer = Recurrent(cell, 9, units, dtype=torch.float64)
        for batch in (*range(1, 15), 25):
            x = torch.randn(2, batch, 9, dtype=torch.float64, requires_grad=True)
            weight = torch.randn(2, batch, units, dtype=torch.float64)
            found = []
            for layer.backend in ("native", "torch"):
                y, _ = layer(x)
                found.append([y, *torch.autograd.grad((y * weight).sum(), [x, *layer.parameters()])])
            for k, (mine, theirs) in enumerate(zip(*found, strict=True)):
                assert relative(mine, theirs) <= EXACT, (cell.name, units, batch, k)

# Products over all steps, also of sizes that are left to torch; their rows lie apart in memory.
for dtype, tolerance in ((torch.float64, EXACT), (torch.float32, 1e-5)):
    for rows in (*range(1, 14), 97, 203):
        for depth in (1, 16, 391):
            for columns in (1, 15, 33, 64, 130):
                a, b = torch.randn(rows, depth + 1, dtype=dtype)[:, :depth], torch.randn(depth, columns, dtype=dtype)
                bias, left = torch.randn(columns, dtype=dtype), torch.randn(depth, rows + 2, dtype=dtype)[:, :rows]
                out = torch.full((rows, columns + 3), 7.0, dtype=dtype)
                products._multiply(a, b, out[:, :columns], bias)
                assert relative(out[:, :columns], a.double() @ b.double() + bias) <= tolerance, (rows, depth, columns)
                products._sum_of_rows(left, b, out[:, :columns])
                assert relative(out[:, :columns], left.t().double() @ b.double()) <= tolerance, (rows, depth, columns)
                assert (out[:, columns:] == 7).all()
print("done")
"""


def run(python, text: str, instructions: str) -> None:
    missing = set(build.INSTRUCTIONS[instructions][1]) - build.processor()
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    done = python(text, timeout=300, RECURRA_INSTRUCTIONS=instructions)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("instructions", ["avx512", "avx2", "portable"])
def test_four_cells(python, instructions: str) -> None:
    run(python, CHECKS.replace("INSTRUCTIONS", repr(instructions)).replace("CELLS", repr(CELLS)), instructions)


@pytest.mark.parametrize("instructions", ["avx512-bf16", "avx512", "avx2", "portable"])
def test_single_steps(python, instructions: str) -> None:
    run(python, STEPS.replace("INSTRUCTIONS", repr(instructions)), instructions)


@pytest.mark.parametrize("instructions", ["avx512", "avx2", "portable"])
def test_tiles_of_every_size(python, instructions: str) -> None:
    run(python, TILES, instructions)


@pytest.mark.parametrize(
    ("instructions", "columns", "ours"), [("avx512", 208, False), ("avx2", 208, True), ("portable", 256, False)]
)
def test_which_products_are_made_of_our_tiles(instructions: str, columns: int, ours: bool, monkeypatch) -> None:
    monkeypatch.setattr(build, "instructions", lambda: instructions)
    a, b = torch.randn(products.FEWEST, 64), torch.randn(64, columns)
    assert products._ours(a, b) == ours
