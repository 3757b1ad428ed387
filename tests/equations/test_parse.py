"""Equations as text: the same numbers as in Python, names sorted into gates and states, and every refusal."""

from __future__ import annotations

import copy
import io
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recurra.equations import show
from recurra.equations.functions import SYMBOLS
from recurra.equations.grammar import POINTWISE
from recurra.equations.language import Cell
from recurra.equations.parse import parse
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find
from recurra.testing import check_cell
from recurra.testing.cells import Configuration, make_case, relative

EXAMPLE = """
f = sigmoid(f)              # a bare gate name on the right is its pre-activation, input part + recurrent part
n = tanh(n.input + project(f * h))
h = (1 - f) * h + f * n
"""

REGISTERED = {
    "rnn-tanh": "h = tanh(s)",
    "rnn-identity": "gates: s\nh = s",
    "lstm": """
        gates: i f g o
        state: h c
        i = sigmoid(i); f = sigmoid(f); o = sigmoid(o)
        c = f * c + i * tanh(g)
        h = o * tanh(c)
    """,
    "peephole-lstm": """
        state: h c
        i = sigmoid(i + unit("peephole_i") * c)
        f = sigmoid(f + unit("peephole_f") * c)
        g = tanh(g)
        c = f * c + i * g
        o = sigmoid(o + unit("peephole_o") * c)
        h = o * tanh(c)
    """,
    "coupled-lstm": "state: h, c\nf = sigmoid(f)\nc = f * c + (1 - f) * tanh(g)\nh = sigmoid(o) * tanh(c)",
    "layer-norm-lstm": """
        gates: i f g o
        state: h c
        bias: no
        p, q, r, s = layer_norm(i.input, f.input, g.input, o.input)
        k, l, m, n = layer_norm(i.recurrent, f.recurrent, g.recurrent, o.recurrent)
        i = unit("gain_ih_i", 1.0) * p + unit("gain_hh_i", 1.0) * k + unit("shift_i", 0.0)
        f = unit("gain_ih_f", 1.0) * q + unit("gain_hh_f", 1.0) * l + unit("shift_f", 0.0)
        g = unit("gain_ih_g", 1.0) * r + unit("gain_hh_g", 1.0) * m + unit("shift_g", 0.0)
        o = unit("gain_ih_o", 1.0) * s + unit("gain_hh_o", start=1.0) * n + unit("shift_o", -0.0)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(unit("gain_c", 1.0) * layer_norm(c) + unit("shift_c", 0.0))
    """,
    "gru": """
        r = sigmoid(r)
        z = sigmoid(z)
        new = tanh(n.input + r * n.recurrent)
        h = (1 - z) * new + z * h
    """,
    "gru-reset-before": """
        gates: r z n
        r = sigmoid(r); z = sigmoid(z)
        h = (1 - z) * tanh(n.input + project(r * h, "candidate")) + z * h
    """,
    "min-gru": "gates: z n\nwrite = sigmoid(z.input)\nh = (1 - write) * h + write * n.input",
    "min-lstm": """
        keep = sigmoid(f.input)
        write = sigmoid(i.input)
        h = keep / (keep + write) * h + write / (keep + write) * n.input
    """,
}


def test_the_example_s_names() -> None:
    cell = parse(EXAMPLE)
    assert (cell.gates, cell.state) == (("f", "n"), ("h",))
    assert (cell.input_gates, cell.recurrent_gates) == (("f", "n"), ("f",))
    assert tuple(cell.products) == ("project",)
    assert show.text(cell).startswith("equations:\nsource: core.equations\n")


@pytest.mark.parametrize("name", REGISTERED)
def test_a_registered_cell_as_text_gives_the_same_numbers(name: str) -> None:
    """Parameters by the same names and in the same order, and equal outputs, states and gradients."""
    registered, text = find("cell", name), parse(REGISTERED[name])
    assert (text.gates, text.state, text.bias) == (registered.gates, registered.state, registered.bias)
    for setting in (Configuration("stacked", layers=2), Configuration("lengths", lengths=(4, 0, 7))):
        ours, theirs = make_case(text, setting), make_case(registered, setting)
        assert list(ours.layer.state_dict()) == list(theirs.layer.state_dict())
        for backend in ("reference", "torch"):
            for value, oracle in zip(ours.run(backend), theirs.run(backend), strict=True):
                assert relative(value, oracle) <= 1e-12


STRANGE = """
# Functions, powers, scalars, x and several results of one product.
gates: s q t2_gate
state: out memory
source: a test, 2024    # not a paper
half = 1 / 2 ** 1
s = sigmoid(+s * scalar("sharpness", 0.7) + unit("bend") * memory ** 2)
p, r = project(s * out, "both", parts=2)
top = maximum(p,
              tanh(q))
memory = softplus(r) / (1 + top * top) + hard_tanh(memory) * half + relu(t2_gate.input) / 4
out = -top * tanh(memory) + raw_input() * 0.1 - x * (3 - 2) * half
"""


def test_a_strange_text_passes_the_conformance_suite() -> None:
    cell = parse(STRANGE)
    assert (cell.gates, cell.state) == (("s", "q", "t2_gate"), ("out", "memory"))
    assert cell.source == "a test, 2024"
    assert cell.equations.__doc__ == "Functions, powers, scalars, x and several results of one product."
    check_cell(cell)


@pytest.mark.parametrize(
    ("text", "gates", "state"),
    [
        ("f = sigmoid(f)\nh = f * h + tanh(n)", "f n", "h"),
        ("state: h c\nc = f * c + tanh(g)\nf = sigmoid(f)\nh = c * f", "f g", "h c"),  # f is assigned, and no state
        ("gates: f\nc = f * c\nh = tanh(c) * f", "f", "h c"),  # c is read and assigned, and no gate
        ("gates: s\nm = tanh(s)\nm = m * s\nm = m + 1 * m", "s", "m"),
        ("h = h + relu(x)", "", "h"),
        ("gates:b,a\nh = tanh(a) * b", "b a", "h"),
        ("h = tanh(a) * tanh(b.input)", "a b", "h"),
    ],
)
def test_what_names_are(text: str, gates: str, state: str) -> None:
    cell = parse(text)
    assert (" ".join(cell.gates), " ".join(cell.state)) == (gates, state)


NO_CELL = {
    # names
    "h = f * hh + tanh(f)": "1:9: unknown name 'hh': did you mean 'h'? Known: f, h. If it is a gate, say so above the "
    "equations: gates: f hh",
    "gates: f\nh = f * n": "2:9: unknown name 'n'. Known: f, h. If it is a gate, say so above the",
    "c = sigmoid(f) * c + tanh(g)\nh = tanh(c)": "1:18: 'c' could be a gate or a state. Say above the equations: "
    "state: h c (where it is kept for the next step) or state: h (where it is a gate).",
    "c = tanh(c)\nc = c * c\nh = c * tanh(g)": "1:10: 'c' could be a gate or a state.",
    "c = i * tanh(c)\nh = c * tanh(i)": "1:14: 'c' could be a gate or a state.",
    "gates: g\nstate: h\nc = c * g\nh = c": "3:5: 'c' is read before a line assigns it, but is neither in gates: nor",
    "h = o * tanh(s)\nc = tanh(s)": "1:5: unknown name 'o'",
    "h = tanh(s)\nc = tanh(s)": "1:1: nothing reads 'h' after this line. If it is kept for the next step, say so above "
    "the equations: state: c h",
    "a, b = layer_norm(f, g)": "1:1: the last line assigns several names. Which name is the output? Add",
    "gates: f\nf = tanh(f)": "2:1: the last line assigns the gate 'f'. Which name is the output?",
    "gates: f q\nh = tanh(f)": "1:1: no equation reads the gate 'q'.",
    "gates: f ff\nh = tanh(f)": "1:1: no equation reads the gate 'ff': did you mean 'f'?",
    "state: h cc\nc = tanh(s)\nh = c": "1:1: no line assigns the state 'cc': did you mean 'c'? Write: cc = …",
    "gates: h\nstate: h\nh = tanh(s)": "2:1: 'h' is in gates: and in state:. Take it out of one.",
    "gates: f f\nh = tanh(f)": "1:1: gates: 'f' stands there twice.",
    "state: h x\nh = tanh(s)": "1:1: state: x is the raw input: choose another name.",
    "gates: tanh\nh = tanh(s)": "1:1: gates: tanh is a function: choose another name.",
    "gates: _f\nh = tanh(f)": "1:1: gates: '_f' is no name: use letters of the English alphabet",
    "h = tanh(h_prev)": "1:10: 'h_prev' is a name that the derivation makes itself (h_prev, a_f, d_h, weight_…)",
    "k1 = tanh(s)": "1:1: 'k1' is a name that the derivation makes itself",
    "h = tanh(σ)": "1:10: 'σ' is no name: use letters",
    "x = tanh(s)": "1:1: x is the raw input: choose another name.",
    "tanh = tanh(s)": "1:1: tanh is a function: choose another name.",
    "n = tanh(n)\nh = n.input": "2:5: 'n' is no gate here. Parts has only a gate, and before a line assigns its name.",
    "h = x.input": "1:5: 'x' is no gate here.",
    "h = h.input + tanh(s)": "1:5: 'h' is no gate here.",
    # above the equations
    "gate: f\nh = tanh(f)": "1:1: unknown line gate:: did you mean 'gates' or 'state'? Above equations stand gates,",
    "state: h\n\nstate: h\nh = tanh(f)": "3:1: a second line state:",
    "state:  # none\nh = tanh(f)": "1:1: state: says nothing.",
    "bias: maybe\nh = tanh(s)": "1:1: bias: maybe, expected yes or no.",
    "h = tanh(s)\nstate: h": "2:1: a line with a colon is not part of the language: gates:, state:, source: and bias:",
    # functions
    "h = sigmiod(f)": "1:5: unknown function 'sigmiod': did you mean 'sigmoid'",
    "h = torch.tanh(f)": "1:5: a function is called by its bare name: tanh(…), not torch.tanh(…).",
    "h = tanh": "1:5: tanh is a function: write what it takes, tanh(…).",
    "h = tanh(f, g)": "1:5: tanh takes v: too many positional arguments.",
    "h = maximum(f)": "1:5: maximum takes a, b: missing a required argument: 'b'.",
    "h = maximum(f, 0)": "1:5: maximum takes values of the step, here is a number. k + relu(a - k) is maximum(a, k).",
    "k = 2\nh = tanh(k) + tanh(f)": "2:5: tanh takes values of the step, here is a number. Write its result.",
    'h = tanh(f) + unit("b", begin=1.0)': "1:31: unit has no keyword begin. It takes name, start, width.",
    'h = tanh(f) + unit("b", strat=1.0)': "1:31: unit has no keyword strat: did you mean 'start'?",
    "h = tanh(**f)": "1:12: tanh has no keyword None. It takes v.",
    "h = tanh(*f)": "1:10: this (Starred) is not part of the language",
    "h = tanh(f) * unit(b)": '1:20: the name of a unit stands in quotes: "b".',
    'h = tanh(f) * unit("b", f)': "1:25: a first value is a plain number, such as 1.0, or a distribution, such as norm",
    'h = tanh(f) * unit("h")': "1:15: 'h' is a gate or a state: give the parameter another name.",
    'h = tanh(f) * unit("tanh_f")': "1:15: 'tanh_f' is a name that the derivation gives to values itself",
    'h = tanh(f) * unit("weight_ih")': "1:20: 'weight_ih' is a name that the derivation makes itself",
    'h = tanh(f) * unit("b") + unit("b", 1)': "1:27: 'b' is already a unit with another first value.",
    'h = tanh(f) * unit("b") + scalar("b")': "1:27: 'b' is already a unit with another first value.",
    "h = project(h) + project(tanh(f))": "1:18: a second parameter 'project': give each product a name of its own,",
    'h = project(h, "ih")': "1:16: 'ih' is a name that the derivation makes itself",
    'h = project(h, "two", parts=2)': "1:5: this gives 2 values; they are written p, q = layer_norm(a, b) or",
    'h = project(h, "two", parts=f)': "1:29: parts is a whole number from 1 to 16.",
    'h = project(h, "two", width="x")': '1:29: a width is "units" or "input".',
    "h = tanh(f) * layer_norm(f, h)": "1:15: this gives 2 values; they are written p, q = layer_norm(a, b) or",
    "h = tanh(f) * layer_norm()": "1:15: layer_norm takes one value or more.",
    "p, q, r = layer_norm(a, b)": "1:1: 3 names for 2 values.",
    "p, q = tanh(a)": "1:1: 2 names for 1 value.",
    "p, q = f, g": "1:1: several names at once are written p, q = layer_norm(a, b)",
    "p, q.x = layer_norm(f, g)": "1:1: several names at once are written",
    "h = tanh(f) + lower(c)": '1:21: the state of the layer below stands in quotes: lower("c").',
    'h = tanh(f) + lower("c")': "1:15: 'c' is no state of the layer below. States: h.",
    # what is no equation
    "": ": there are no equations. The shortest are: h = tanh(s)",
    "# nothing": ": there are no equations.",
    "h = tanh(f": "1:9: this cannot be read ('(' was never closed). A line is an equation, such as h = ",
    "h tanh(f)": "1:3: this cannot be read (invalid syntax).",
    "  h = tanh(s)\n    h = h * h": "2:4: this cannot be read (unexpected indent).",
    "h = tanh(\0f)": ":1:1",
    "h = " + "(" * 300 + "f" + ")" * 300: "1:",
    "h = " + "-" * 3000 + "f": ":1:1: ",
    "h = " + " + ".join(["tanh(f)"] * 20_000): ": 200,001 characters of equations, expected 20,000 at most.",
    "tanh(f)": "1:1: a line that assigns nothing is not part of the language: write a name and = before it.",
    "h = g = tanh(f)": "1:5: a second = in a line: write one line for each name.",
    "h.input = tanh(f)": "1:1: what stands before = must be a name of its own: h = …",
    "h[0] = tanh(f)": "1:1: what stands before = must be a name of its own",
    "1 = tanh(f)": "1:1: this cannot be read (cannot assign to literal",
    "h += tanh(f)": "1:1: an assignment with an operator is not part of the language: write it out: h = h + …",
    "import os": "1:1: an import is not part of the language: all functions of the language are there",
    "from os import path": "1:1: an import is not part of the language",
    "def f(x): return x": "1:1: a function of your own is not part of the language",
    "for k in h: h = k": "1:1: a loop is not part of the language: the layer carries the step through time.",
    "h = lambda f: f": "1:5: a lambda is not part of the language: put the expression itself in its place.",
    "h = f if h else g": "1:5: a condition is not part of the language: a step is the same for every unit; use maximum",
    "h = tanh(f > 0)": "1:10: a comparison is not part of the language: a step is the same for every unit; use maximum",
    "h = f and g": "1:5: a condition is not part of the language",
    "h = not f": "1:5: this operator is not part of the language: there are + - * / **.",
    "h = f @ g": "1:5: this operator is not part of the language",
    "h = tanh(f[0])": "1:10: an index is not part of the language: a name stands for all units at once.",
    "h = (f, g)": "1:5: a row of values is not part of the language",
    "h = [f for f in g]": "1:5: this (ListComp) is not part of the language",
    "h = f'{f}'": "1:5: this (JoinedStr) is not part of the language",
    "h = (f := tanh(g))": "1:6: this (NamedExpr) is not part of the language",
    "h = __import__('os').system('true')": "1:5: a function is called by its bare name",
    "h = eval('1')": "1:5: unknown function 'eval'",
    "h = f.__class__": "1:5: unknown part f.__class__. A gate has .input and .recurrent.",
    "h = f.inptu": "1:5: unknown part f.inptu: did you mean 'input'? A gate has .input and .recurrent.",
    "h = tanh(f).input": "1:5: .input stands behind a gate's name only: n.input, n.recurrent.",
    "h = tanh(f) + 'text'": "1:15: text is no value: only unit, scalar and project take a name in quotes.",
    "h = tanh(f) + True": "1:15: True is no value",
    "h = tanh(f) + 1j": "1:15: 1j is no value",
    # numbers
    "h = tanh(f) + 1e999": "1:15: this number is too large.",
    "h = tanh(f) + 1" + "0" * 400: "1:15: this number is too large.",
    "h = tanh(f) + 1e300 ** 2": "1:15: this number is too large.",
    "h = tanh(f) ** h": "1:16: a power is a whole number from 1 to 16. For others: 1 / a, exp, log.",
    "h = tanh(f) ** -1": "1:16: a power is a whole number",
    "h = tanh(f) ** 10**9": "1:16: a power is a whole number",
    "k = 1\nh = tanh(f) / (k - 1)": "2:16: a division by zero.",
    # what is no recurrent cell
    "h = tanh(h)": ": nothing here reads the input. Name a gate, as in h = tanh(s), or x, the input itself.",
    "h = tanh(f.input)": ": nothing here reads the step before. A gate does, as in h = tanh(s), and a state that",
}


@pytest.mark.parametrize("text", NO_CELL, ids=lambda text: text[:40].replace("\0", "0"))
def test_what_is_refused_says_where_and_what_to_do(text: str) -> None:
    message = NO_CELL[text]
    expected = f"core.equations{'' if message.startswith(':') else ':'}{message}"
    with pytest.raises(ConfigError, match="^" + re.escape(expected)):
        parse(text)


def test_columns_are_counted_in_characters_of_the_text_as_given() -> None:
    with pytest.raises(ConfigError, match=re.escape("mine.txt:3:17: unknown name 'q'")):
        parse("    # σ\r\n    \r\n    h = tanh(s)*q # ĥ", where="mine.txt")
    with pytest.raises(ConfigError, match=re.escape("core.equations:1:13: unknown name 'q'")):
        parse("\th = q * tanh(s)")


def test_a_registered_name_is_not_taken() -> None:
    """The engines know torch's own cells by name."""
    with pytest.raises(ConfigError, match=r"'lstm' is a registered cell's name: give these equations another\."):
        parse(EXAMPLE, name="lstm")


def test_every_pointwise_function_can_be_written() -> None:
    assert POINTWISE.keys() == SYMBOLS.keys() - {"step"}


def test_the_same_text_is_the_same_cell_in_copies_and_pickles() -> None:
    cell = parse(EXAMPLE)
    layer = Recurrent(cell, 3, 4)
    assert copy.deepcopy(layer).cell is cell
    assert pickle.loads(pickle.dumps(cell)) is cell
    assert pickle.loads(pickle.dumps(find("cell", "lstm"))) is find("cell", "lstm")
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    again, x = torch.load(file, weights_only=False), torch.randn(5, 2, 3)
    assert torch.equal(again(x)[0], layer(x)[0])


def test_a_pickle_is_read_where_the_text_was_never_parsed(tmp_path: Path) -> None:
    file = tmp_path / "cell.pickle"
    file.write_bytes(pickle.dumps(parse(EXAMPLE, name="mine", where="mine.txt")))
    code = (
        "import pickle, sys; c = pickle.load(open(sys.argv[1], 'rb')); print(c.name, c.gates, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "mine ('f', 'n') False\n"


def test_reading_needs_neither_torch_nor_sympy() -> None:
    code = (
        "import sys; from recurra.equations.parse import parse; parse('h = tanh(s)');"
        "assert not {'torch', 'sympy', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cells_of_python_still_pickle_by_their_name() -> None:
    cell = find("cell", "gru")
    assert isinstance(cell, Cell)
    assert cell.__reduce__() == (find, ("cell", "gru"))
