"""The derivation against the textbook's backward, and the room's own promises."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time

import pytest
import sympy as sp
import torch

from recurra.engine import Layer, Time, run
from recurra.equations import show
from recurra.equations.derive import Variant, derive
from recurra.equations.keep import smallest_cut
from recurra.equations.language import (
    Expression,
    cell,
    hard_tanh,
    lower,
    mask,
    maximum,
    project,
    sigmoid,
    softplus,
    tanh,
    unit,
)
from recurra.equations.statements import Norm, NormTransposed, Pointwise, Product, ProductTransposed, symbol
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find, names
from recurra.testing.cells import relative


def values(cell_name: str) -> dict[str, sp.Expr]:
    statements = derive(find("cell", cell_name)).backward
    return {st.name: st.value for st in statements if isinstance(st, Pointwise)}


def test_lstm_backward_is_the_textbook_s() -> None:
    """Term for term, with tanh(c) kept."""
    i, f, g, o, c_prev, tc = map(symbol, ("i", "f", "g", "o", "c_prev", "tanh_c"))
    gh, gc, dc = map(symbol, ("g_h", "g_c", "d_c"))
    found = values("lstm")
    expected = {
        "d_c": gc + gh * o * (1 - tc**2),
        "d_a_o": gh * tc * o * (1 - o),
        "d_a_g": dc * i * (1 - g**2),
        "d_a_f": dc * c_prev * f * (1 - f),
        "d_a_i": dc * g * i * (1 - i),
        "d_c_prev": dc * f,
    }
    for name, value in expected.items():
        assert sp.expand(found[name] - value) == 0, name
    assert set(derive(find("cell", "lstm")).kept) == {"i", "f", "g", "o", "tanh_c"}


def test_gru_keeps_four_values() -> None:
    assert set(derive(find("cell", "gru")).kept) == {"r", "z", "n", "a_n_rec"}


def test_a_tanh_unit_keeps_nothing_but_its_state() -> None:
    assert derive(find("cell", "rnn-tanh")).kept == ()


def test_cheap_arithmetic_is_done_again_instead_of_kept() -> None:
    recomputed = derive(find("cell", "gru-reset-before")).recomputed
    assert [st.name for st in recomputed] == ["into_candidate"]


def test_the_cells_use_every_kind_of_seam() -> None:
    kinds = {
        type(st) for name in names("cell") for d in [derive(find("cell", name))] for st in (*d.forward, *d.backward)
    }
    assert kinds == {Pointwise, Product, ProductTransposed, Norm, NormTransposed}


def test_derivation_is_quick() -> None:
    derive(find("cell", "gru"))
    derive.cache_clear()
    begin = time.process_time()
    derive(find("cell", "lstm"))
    assert time.process_time() - begin < 0.5  # a tenth of it on an idle machine


def test_the_room_needs_no_torch() -> None:
    code = (
        "import sys; from recurra.registry import find; from recurra.equations import show;"
        "show.text(find('cell', 'lstm')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_smallest_cut_against_enumeration() -> None:
    """On random small graphs no smaller set of kept values would do."""
    rng = random.Random(3)
    for _ in range(60):
        n = 7
        nodes = [f"v{k}" for k in range(n)]
        cheap = {nodes[k]: rng.sample(nodes[:k], rng.randint(1, min(k, 3))) for k in range(2, n) if rng.random() < 0.7}
        needed = rng.sample(nodes, 3)
        free = {"v0"} if rng.random() < 0.3 else set()

        def enough(kept: frozenset[str], cheap: dict = cheap, needed: list = needed, free: set = free) -> bool:
            def has(name: str) -> bool:
                return name in kept or name in free or (name in cheap and all(map(has, cheap[name])))

            return all(map(has, needed))

        found = smallest_cut(needed, cheap, free.__contains__)
        best = next(k for k in range(n + 1) for s in itertools.combinations(nodes, k) if enough(frozenset(s)))
        assert enough(found)
        assert len(found) == best


@pytest.mark.parametrize("name", names("cell"))
def test_every_cell_prints(name: str) -> None:
    text, latex = show.text(find("cell", name)), show.latex(find("cell", name))
    assert "forward" in text and "backward" in text and "summed over time" in text
    assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}") == 2
    assert latex.count("{") == latex.count("}")


def test_mistakes_in_a_cell_are_named() -> None:
    with pytest.raises(ConfigError, match="its gates and states are"):

        @cell(gates="a b", state="h", source="test")
        def lacks_a_gate(a: Expression, h: Expression) -> Expression:
            return a

    @cell(gates="a", state="h c", source="test")
    def lacks_a_state(a: Expression, h: Expression, c: Expression) -> Expression:
        return a

    with pytest.raises(ConfigError, match="has 2 states but returns 1"):
        derive(lacks_a_state)

    @cell(gates="a", state="h", source="test")
    def branches(a: Expression, h: Expression) -> Expression:
        return a if h else h

    with pytest.raises(ConfigError, match="no truth value"):
        derive(branches)

    @cell(gates="a", state="h", source="test")
    def borrows(a: Expression, h: Expression) -> Expression:
        return a + Expression("state", label="h")

    with pytest.raises(ConfigError, match="none of its own symbols"):
        derive(borrows)

    @cell(gates="a", state="h", source="test")
    def mixes(a: Expression, h: Expression) -> Expression:
        return a + "b"  # type: ignore[operator]

    with pytest.raises(ConfigError, match="equations take symbols and numbers"):
        derive(mixes)
    with pytest.raises(ConfigError, match="cannot be projected"):
        derive(find("cell", "gru"), Variant(projected=True))


def test_a_strange_cell_passes_the_conformance_suite() -> None:
    """Functions, scalars, products and several readers of one value that no shipped cell combines."""
    from recurra.equations.language import scalar
    from recurra.testing import check_cell

    @cell(gates="s t", state="h m", source="test")
    def strange(s: Expression, t: Expression, h: Expression, m: Expression) -> tuple[Expression, Expression]:
        s = sigmoid(s * scalar("sharpness", 0.7) + unit("bend") * m)
        both = maximum(s * h, tanh(t) - 0.3)
        m = softplus(project(both, "inner")) / (1 + both * both) + hard_tanh(m) * 0.5
        h = both * tanh(m) + project(s * m, "outer") / 4
        return h, m

    check_cell(strange)


def test_a_cell_that_reads_its_input_itself() -> None:
    """x beside the gates: its gradient has a part that no product hands back."""
    from recurra.equations.language import raw_input
    from recurra.testing import check_cell

    @cell(gates="z", state="h", source="test")
    def highway(z: Expression, h: Expression) -> Expression:
        z = sigmoid(z)
        return z * tanh(h * unit("memory")) + (1 - z) * raw_input()

    check_cell(highway)
    with pytest.raises(ConfigError, match="uses x itself, so input_size must be hidden_size = 4"):
        Recurrent(highway, 3, 4)


@pytest.mark.parametrize("lengths", [None, [3, 0, 5]])
def test_a_cell_that_reads_the_layer_below_and_a_mask(lengths: list[int] | None) -> None:
    """Depth-gated memory: what comes from below gets its gradient, the mask none; the engines agree."""

    @cell(gates="g d", state="h c", source="test")
    def deep(g: Expression, d: Expression, h: Expression, c: Expression) -> tuple[Expression, Expression]:
        c = sigmoid(g) * c * mask("keep") + sigmoid(d + unit("see") * lower("c")) * lower("c")
        return tanh(c), c

    with pytest.raises(ConfigError, match=r"reads lower\('c'\), which Recurrent does not feed|reads mask"):
        Recurrent(deep, 3, 4)
    torch.manual_seed(0)
    time = Time.full(5, 3) if lengths is None else Time.of(torch.tensor(lengths), 5, 3)
    shapes = {"weight_ih": (8, 3), "weight_hh": (8, 4), "bias_ih": (8,), "bias_hh": (8,), "see": (4,)}
    weights = {n: torch.randn(s, dtype=torch.float64, requires_grad=True) for n, s in shapes.items()}
    x, below, keep = (torch.randn(time.rows, w, dtype=torch.float64, requires_grad=True) for w in (3, 4, 4))
    given = {"lower_c": below, "mask_keep": keep.detach()}
    state = tuple(torch.randn(time.alive, 4, dtype=torch.float64) for _ in "hc")
    found = []
    for backend in ("torch", "reference"):
        y, finals = run(Layer(deep, time), x, state, weights, given, backend)
        loss = y.sin().sum() + sum(f.square().sum() for f in finals)
        found.append((y, *finals, *torch.autograd.grad(loss, [x, below, *weights.values()])))
    for value, oracle in zip(*found, strict=True):
        assert relative(value, oracle) <= 1e-12
