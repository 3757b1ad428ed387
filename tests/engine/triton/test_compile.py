"""Triton's compiler turns the kernels into a GPU's machine code; that needs triton, and no GPU."""

from __future__ import annotations

import importlib.util

import pytest

COMPILE = """
import triton.language as tl
from triton.backends import backends
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from recurra.engine.native.sweep import Location, Mode, Point
from recurra.engine.triton import kernels
from recurra.engine.triton.write import CLOCK, HEAD, Kernel, write_point
from recurra.equations.derive import PLAIN, Variant
from recurra.equations.statements import Pointwise, symbol
from recurra.equations.functions import SYMBOLS
from recurra.registry import find

if "nvidia" not in backends:
    print("no compiler")
    raise SystemExit

def check(kernel, function):
    for real, other in (("fp32", None), ("fp64", "f32")):
        constants = {"ROWS": 4, "UNITS": 128, "REAL": getattr(tl, f"float{real[2:]}"), "EPSILON": 1e-5}
        constants = {n: v for n, v in constants.items() if n in function.arg_names}
        types = {f"p_{a}": f"*{real}" for a in kernel.pointers}
        types |= dict.fromkeys((*(f"r_{a}" for a in kernel.strides), *CLOCK), "i32")
        types |= dict.fromkeys(constants, "constexpr")
        made = compile(ASTSource(function, types, constants), target=GPUTarget("cuda", 80, 32))
        assert made.asm["cubin"]
        assert other is None or other not in made.asm["ttir"], made.asm["ttir"]

x, y = symbol("x"), symbol("y")
arguments = {n: (x, y + 0.1) if n == "maximum" else (0.1 * x,) for n in SYMBOLS}
statements = tuple(Pointwise(f"f_{n}", SYMBOLS[n](*arguments[n])) for n in SYMBOLS)
stores = tuple((st.name, Location("out", Mode.WHOLE, k)) for k, st in enumerate(statements))
loads = (("x", Location("x", Mode.SCALAR)), ("y", Location("y", Mode.PARAMETER)))
every = Kernel("every", ("x", "y", "out"), ("out",))
check(every, kernels.made(HEAD + write_point(every, Point(statements, loads, (), stores, "H")), "every")["every"])
for name in CELLS:
    code = kernels.code(find("cell", name), VARIANT)
    for key in code.kernels:
        check(*code.find(key))
print("done")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize(
    ("names", "variant"),
    [
        (("lstm", "gru-reset-before"), "PLAIN"),
        (("layer-norm-gru",), "Variant(recurrent_mask=True, zoneout=('h',))"),
        (("min-lstm",), "PLAIN"),
    ],
    ids=["lstm and gru", "layer-norm-gru, masked", "min-lstm"],
)
def test_machine_code(python, tmp_path, names: tuple[str, ...], variant: str) -> None:
    """For compute capability 8.0 in both types; in float64 nothing passes through a float32."""
    text = COMPILE.replace("CELLS", repr(names)).replace("VARIANT", variant)
    printed = python(text, TRITON_CACHE_DIR=str(tmp_path))
    if printed == "no compiler\n":
        pytest.skip("this triton has no compiler for NVIDIA's GPUs")
    assert printed == "done\n"
