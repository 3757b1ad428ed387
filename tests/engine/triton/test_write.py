"""The text of kernels, and when the backend says no; needs no triton."""

from __future__ import annotations

import ast
import builtins

import pytest
import torch

from recurra.engine import Layer, Record, Time, choose, triton
from recurra.engine.native.plan import native as derived
from recurra.engine.native.sweep import Mode, Point
from recurra.engine.triton import kernels
from recurra.engine.triton.write import CLOCK, ROWS, address, expression, kernels_of, write
from recurra.equations.derive import PLAIN, Variant
from recurra.equations.functions import SYMBOLS
from recurra.equations.statements import symbol
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find

CELLS = ("lstm", "gru-reset-before", "layer-norm-lstm", "min-gru")
VARIANTS = (PLAIN, Variant(recurrent_mask=True, zoneout=("h",)))


def functions(text: str) -> tuple[set[str], dict[str, ast.FunctionDef]]:
    """The names that a text imports, and its functions."""
    tree = ast.parse(text)
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for st in tree.body
        if isinstance(st, ast.Import | ast.ImportFrom)
        for alias in st.names
    }
    return imported, {st.name: st for st in tree.body if isinstance(st, ast.FunctionDef)}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("variant", VARIANTS, ids=["plain", "masked"])
def test_no_name_is_used_before_it_is_there(name: str, variant: Variant) -> None:
    text = write(derived(find("cell", name), variant))
    compile(text, "kernels", "exec")
    imported, found = functions(text)
    assert set(SYMBOLS) <= imported and found
    for function in found.values():
        known = imported | {a.arg for a in function.args.args} | set(dir(builtins))
        for st in function.body:
            names = [n for n in ast.walk(st) if isinstance(n, ast.Name)]
            unknown = {n.id for n in names if isinstance(n.ctx, ast.Load)} - known
            assert not unknown, (function.name, ast.unparse(st))
            known |= {n.id for n in names if isinstance(n.ctx, ast.Store)}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("variant", VARIANTS, ids=["plain", "masked"])
def test_each_load_and_each_store_stands_once(name: str, variant: Variant) -> None:
    found = derived(find("cell", name), variant)
    text = write(found)
    _, texts = functions(text)
    points = 0
    for key, kernel in kernels_of(found).items():
        lines = [ast.unparse(st) for st in texts[kernel.name].body]
        arguments = [a.arg for a in texts[kernel.name].args.args]
        assert len(set(arguments)) == len(arguments)
        assert arguments[: -len(CLOCK)] or not kernel.pointers
        if not isinstance(key, Point):
            continue
        points += 1
        for value, home in key.loads:
            (line,) = (line for line in lines if line.startswith(f"v_{value} = tl.load("))
            assert f"p_{home.array}" in line and (ROWS.get(home.mode) or "") in line
        for value, _ in key.tiles:
            (line,) = (line for line in lines if line.startswith(f"v_{value} = tl.load("))
            assert "p_tile" in line
        assert sum("tl.store(" in line for line in lines) == len(key.stores)
        for value, home in key.stores:
            at = ast.unparse(ast.parse(f"{address(home)} + unit"))
            if home.mode is Mode.ACCUMULATOR:
                assert sum(f"tl.where(here, v_{value}, 0.0)" in line for line in lines) == 1
                assert sum(line.endswith(at) for line in lines) == 1
            else:
                assert lines.count(f"tl.store({at}, v_{value}, mask=here)") == 1
    assert points


def test_expressions() -> None:
    a, b = symbol("a"), symbol("b")
    assert expression(1 - a * b) == "(1.0 - (v_a * v_b))"
    assert expression(b - a) == "(v_b - v_a)"
    assert expression(-a * b / 2) == "(-0.5 * v_a * v_b)"
    assert expression(a**3 / b**2) == "(v_a * v_a * v_a / (v_b * v_b))".replace("v_a * v_a * v_a", "(v_a * v_a * v_a)")
    assert expression(1 / a) == "(1.0 / v_a)"
    assert expression(SYMBOLS["maximum"](a, 2)) == "maximum(v_a, tl.full((ROWS, UNITS), 2.0, REAL))"


def test_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Layer(find("cell", "min-gru"), Time.full(2, 1)), torch.randn(2, 3)
    monkeypatch.delenv(kernels.INTERPRETER, raising=False)
    with pytest.raises(ConfigError, match=r"backend 'triton' cannot run this layer: it is for GPUs, x is on cpu"):
        Recurrent("min-gru", 3, 4, backend="triton")(torch.randn(5, 2, 3))
    monkeypatch.setenv(kernels.INTERPRETER, "1")
    for given, reason in (
        (layer, "it is for float32 and float64, x is torch.float16"),
        (Layer(layer.cell, layer.time, record=Record()), "it does not record gradient norms"),
    ):
        with pytest.raises(ConfigError, match=reason):
            choose("triton", given, x.half() if "float16" in reason else x)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(ConfigError, match=r"it has no short products, autocast asks for torch.bfloat16"),
    ):
        choose("triton", layer, x)
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"triton is not installed \(pip install 'recurra\[gpu\]'.* Use backend='auto'"
    ):
        choose("triton", layer, x)


def test_auto_off_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's kernels for torch's cells, torch's operations for others; Triton's only where they are asked for."""
    x = torch.empty(2, 3, device="meta")
    own, other = (Layer(find("cell", name), Time.full(2, 1)) for name in ("lstm", "min-gru"))
    assert (choose("auto", own, x), choose("auto", other, x)) == ("aten", "torch")
    monkeypatch.setattr(triton.backend, "refuses", lambda layer, x: None)
    assert (choose("auto", own, x), choose("auto", other, x)) == ("aten", "torch")
    assert (choose("triton", own, x), choose("triton", other, x)) == ("triton", "triton")


def test_a_gpu_on_which_kernels_fail_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")

    def fails(device: torch.device) -> float:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one.")

    for probe, reason in (
        (fails, "Triton fails on cpu: RuntimeError: Failed to find C compiler."),
        (lambda device: 0.25, "a kernel of Triton's is wrong by 2.5e-01 on cpu"),
        (lambda device: float("nan"), "a kernel of Triton's is wrong by nan on cpu"),
        (lambda device: 1e-7, None),
    ):
        kernels.trouble.cache_clear()
        monkeypatch.setattr(kernels, "probe", probe)
        assert kernels.trouble(device) == reason
    kernels.trouble.cache_clear()


def test_triton_is_not_imported_before_it_is_needed(python) -> None:
    text = "import sys, torch; sys.modules['triton'] = None; import recurra.engine, recurra.nn; " + (
        "print(recurra.engine.triton.kernels.missing() is not None)"
    )
    assert python(text) == "True\n"
    text = "import sys, torch; before = 'triton' in sys.modules; import recurra.engine, recurra.nn; " + (
        "print(('triton' in sys.modules) == before)"
    )
    assert python(text) == "True\n"
