"""The narrower instruction sets mean the same as the widest one, each in a process of its own."""

from __future__ import annotations

import pytest

from recurra.engine.native import build

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


@pytest.mark.parametrize("instructions", ["avx512", "avx2", "portable"])
def test_four_cells(python, instructions: str) -> None:
    missing = set(build.INSTRUCTIONS[instructions][1]) - build.processor()
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    text = CHECKS.replace("INSTRUCTIONS", repr(instructions)).replace("CELLS", repr(CELLS))
    done = python(text, timeout=300, RECURRA_INSTRUCTIONS=instructions)
    assert done.stdout == "done\n", done.stderr
