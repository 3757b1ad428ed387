"""The backend "triton" in Triton's interpreter on the CPU, each text in a process of its own."""

from __future__ import annotations

import pytest

CELLS = ("lstm", "gru", "gru-reset-before", "layer-norm-lstm", "min-gru", "peephole-lstm", "mogrifier-lstm")
EQUAL = """
from recurra.engine.triton import kernels
from recurra.registry import find
from recurra.testing import cells

kernels.ROWS, kernels.UNITS = BLOCKS
found = [c for c in cells.CONFIGURATIONS if c.name in CHOSEN]
assert len(found) == len(CHOSEN)
for configuration in found:
    cells.check_equal(find("cell", NAME), configuration, ["triton"])
print("done")
"""


def equal(name: str, blocks: tuple[int, int], chosen: tuple[str, ...]) -> str:
    return EQUAL.replace("NAME", repr(name)).replace("BLOCKS", repr(blocks)).replace("CHOSEN", repr(chosen))


@pytest.mark.parametrize("name", CELLS)
def test_equal(interpreted, name: str) -> None:
    """One block for all rows and units. What a configuration adds lies around a cell's own code: all for two cells."""
    chosen = ("masked", *(("lengths with zero", "truncated") if name in ("lstm", "layer-norm-lstm") else ()))
    assert interpreted(equal(name, (4, 128), chosen)) == "done\n"


@pytest.mark.parametrize(
    ("name", "chosen"), [("lstm", ("masked lengths", "bidirectional")), ("layer-norm-gru", ("masked lengths",))]
)
def test_equal_in_several_blocks(interpreted, name: str, chosen: tuple[str, ...]) -> None:
    """Three rows and five units in blocks of two and two, the last ones not full."""
    assert interpreted(equal(name, (2, 2), chosen)) == "done\n"


FLOAT32 = """
from recurra.registry import find
from recurra.testing import cells

cells.check_float32(find("cell", "lstm"), ["triton"])
print("done")
"""


def test_float32(interpreted) -> None:
    assert interpreted(FLOAT32) == "done\n"


OTHERWISE = """
import torch
from recurra.nn import Recurrent
from recurra.testing.cells import relative

def run(backend, cell, again, inputs=4, **options):
    torch.manual_seed(0)
    layer = Recurrent(cell, inputs, 5, 2, dtype=torch.float64, backend=backend, **options)
    x = torch.randn(4, 3, inputs, dtype=torch.float64, requires_grad=True)
    leaves = [x, *layer.parameters()]
    y, state = layer(x, None, torch.tensor([4, 0, 2]))
    first = torch.autograd.grad(y.square().sum(), leaves, create_graph=again)
    if not again:
        return [y, *first]
    penalty = sum(g.square().sum() for g in first)
    return [g for g in torch.autograd.grad(penalty, leaves, allow_unused=True) if g is not None]

def check(*given, **options):
    pairs = list(zip(run("triton", *given, **options), run("reference", *given, **options), strict=True))
    assert len(pairs) > 4
    for value, oracle in pairs:
        assert relative(value, oracle) < 1e-12, (given, options)

check("lstm", False, proj_size=3)
check("lstm", False, proj_size=3, recurrent_dropout=0.4, zoneout=0.2)
check("gru", True)
check("layer-norm-lstm", True)
check("depth-gated-lstm", False)
print("done")
"""


def test_projection_second_derivatives_and_the_layer_below(interpreted) -> None:
    assert interpreted(OTHERWISE) == "done\n"


FUNCTIONS = """
import warnings
import torch
from recurra.engine.native.sweep import Location, Mode, Point
from recurra.engine.triton import kernels
from recurra.engine.triton.write import HEAD, Kernel, write_point
from recurra.equations.statements import Pointwise, symbol
from recurra.equations.functions import SYMBOLS

warnings.simplefilter("ignore")  # NumPy's, of what overflows
TORCH = kernels.TORCH | {"log": torch.log, "step": lambda x: (x > 0).to(x)}
assert set(TORCH) | {"maximum"} == set(SYMBOLS)
special = [0.0, -0.0, 1e-30, -1e-30, 1e-9, 0.625, -0.625, 3.0, -3.0, 20.0, 20.5, 88.0, -88.0, 1e3, -1e3, float("nan")]
for dtype, limit in ((torch.float32, 4e-7), (torch.float64, 1e-15)):
    for name, truth in TORCH.items():
        x = torch.cat((torch.tensor(special, dtype=dtype), torch.linspace(-9, 9, 2000, dtype=dtype)))[None]
        x = x.abs() if name == "log" else x
        y = torch.empty_like(x)
        statement = Pointwise("y", SYMBOLS[name](symbol("x")))
        point = Point((statement,), (("x", Location("x", Mode.WHOLE)),), (), (("y", Location("y", Mode.WHOLE)),), "H")
        kernel = Kernel("one", ("x", "y"), ("x", "y"))
        launch = kernels.made(HEAD + write_point(kernel, point), name)["one"]
        n = x.shape[1]
        launch[(1, -(-n // 1024))](x, y, n, n, 1, n, 0, 0, 0, ROWS=1, UNITS=1024, REAL=kernels.real(dtype))
        exact = truth(x.double()).to(dtype)
        assert torch.equal(y.isnan(), exact.isnan() & (name != "step")), name
        usual = exact.isfinite()
        assert torch.equal(y[~usual & ~exact.isnan()], exact[~usual & ~exact.isnan()]), name
        error = ((y - exact).abs() / exact.abs().clamp(min=1e-30))[usual].max()
        assert error < limit * (4 if name in ("exp", "sigmoid", "softplus") else 1), (name, dtype, error)
assert kernels.probe(torch.device("cpu")) < 1e-6
print("done")
"""


def test_functions(interpreted) -> None:
    """Each within a few roundings of torch's, near 0 and far from it, relative to its own size."""
    assert interpreted(FUNCTIONS) == "done\n"


GRAPHS = """
import torch
from recurra.engine.triton import graphs
from recurra.registry import find
from recurra.testing import cells

calls = []

def capture(work):
    work()
    def replay():
        calls.append(1)
        work()
    return replay

graphs.capture, graphs.wanted = capture, lambda x, time: time.lengths is None
graphs.KEPT = 5
chosen = [c for c in cells.CONFIGURATIONS if c.name in ("bidirectional", "truncated")]
assert len(chosen) == 2
for name in ("peephole-lstm", "gru"):
    for _ in range(2):
        for configuration in chosen:
            cells.check_equal(find("cell", name), configuration, ["triton"])
    assert len(calls) == 2 * 2 * 5, len(calls)  # forward and backward, of a layer, and of two in two directions
    calls.clear()
assert len(graphs._captured) == graphs.KEPT
print("done")
"""


def test_what_goes_in_and_out_of_a_graph(interpreted) -> None:
    """With a capture that does the work again when it is replayed: nothing but copied arrays passes."""
    assert interpreted(GRAPHS) == "done\n"
