"""Whether Triton is there and works, and kernels' texts made into kernels."""

from __future__ import annotations

import importlib.util
import linecache
import os
from functools import cache, lru_cache
from typing import Any

import torch
from torch.nn import functional as F

from recurra.engine.native.plan import Native, native
from recurra.engine.native.sweep import Location, Mode, Op, Point
from recurra.engine.triton.write import HEAD, Kernel, kernels_of, write, write_point
from recurra.equations.derive import Variant
from recurra.equations.functions import SYMBOLS
from recurra.equations.language import Cell
from recurra.equations.statements import Pointwise, symbol

INTERPRETER = "TRITON_INTERPRET"
"""The environment variable that, set before triton is imported, lets kernels run on the CPU; for tests."""
ROWS, UNITS = 4, 128
"""Of one program of a pointwise kernel: rows, and units at most."""
OLDEST = (7, 0)
"""Compute capability below which Triton has no code."""


def missing() -> str | None:
    """Why there is no Triton; None: it is installed."""
    if importlib.util.find_spec("triton") is None:
        return (
            "triton is not installed (pip install 'recurra[gpu]', or pip install triton; torch's own builds for CUDA "
            "bring it along)"
        )
    return None


def interpreted() -> bool:
    return os.environ.get(INTERPRETER, "").lower() in ("1", "true", "on", "yes", "y")


def power(units: int) -> int:
    """The least power of 2 not below `units`."""
    return 1 << (units - 1).bit_length()


def made(text: str, name: str) -> dict[str, Any]:
    """What a text of kernels defines. Triton reads their source again: its lines are left where Python looks."""
    file = f"<recurra triton {name} {hash(text):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": "recurra_triton"}
    exec(compile(text, file, "exec"), space)
    return space


class Code:
    """A cell's sweeps with their kernels."""

    def __init__(self, found: Native) -> None:
        self.native = found
        self.kernels = kernels_of(found)
        self.space = made(write(found), found.derivation.cell.name)

    def find(self, key: Point | Op) -> tuple[Kernel, Any]:
        """A point's or a norm's kernel: what it is given, and what is launched."""
        kernel = self.kernels[key]
        return kernel, self.space[kernel.name]


@lru_cache(maxsize=256)
def code(cell: Cell, variant: Variant, also: tuple[str, ...] = ()) -> Code:
    """The kernels of a cell, written once; `also` as in `Layer`. Each is compiled when it first runs."""
    return Code(native(cell, variant, also))


def real(dtype: torch.dtype) -> Any:
    """A type as kernels are told it."""
    import triton.language as tl

    return {torch.float32: tl.float32, torch.float64: tl.float64}[dtype]


TORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": F.softplus,
    "exp": torch.exp,
    "hard_sigmoid": F.hardsigmoid,
    "hard_tanh": F.hardtanh,
}


@cache
def trouble(device: torch.device) -> str | None:
    """Why kernels do not work on a GPU, found out once by one that has the functions in it; None: they do."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < OLDEST:
        return f"Triton has no code for {torch.cuda.get_device_name(device)}"
    try:
        error = probe(device)
    except Exception as reason:  # no C compiler, no driver, …: Triton raises all sorts of things
        first = str(reason).strip().partition("\n")[0]
        return f"Triton fails on {device}: {type(reason).__name__}: {first}"
    return None if error < 1e-5 else f"a kernel of Triton's is wrong by {error:.1e} on {device}"


def probe(device: torch.device) -> float:
    """The largest difference of a function from torch's, beside 1 + its value, in float32."""
    x = torch.linspace(-8, 8, 5 * 33, device=device).view(5, 33)
    y = x.new_empty(5, 33 * len(TORCH))
    statements = tuple(Pointwise(f"y_{name}", SYMBOLS[name](symbol("x"))) for name in TORCH)
    stores = tuple((st.name, Location("y", Mode.WHOLE, k)) for k, st in enumerate(statements))
    point = Point(statements, (("x", Location("x", Mode.WHOLE)),), (), stores, "H")
    kernel = Kernel("probe", ("x", "y"), ("x", "y"))
    launch = made("\n\n".join((HEAD, write_point(kernel, point))), "probe")["probe"]
    with torch.cuda.device_of(x):
        launch[(2, 1)](x, y, 33, 33 * len(TORCH), 5, 33, 0, 0, 0, ROWS=4, UNITS=64, REAL=real(x.dtype))
    truth = torch.cat([function(x) for function in TORCH.values()], 1)
    return float(((y - truth).abs() / (1 + truth.abs())).max())
