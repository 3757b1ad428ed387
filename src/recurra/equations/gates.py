"""What there is to see in a cell: its gates and other activations by name, and how much it keeps of its old states.

Both are found in the equations, so that a cell somebody writes shows its inside like those that are registered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from recurra.equations.language import Cell, Expression

GATES = frozenset({"sigmoid", "hard_sigmoid"})
"""Functions whose value is a share from 0, shut, to 1, open."""
KEPT = "kept "
"""What the names of kept shares begin with where they stand beside those of activations."""


@dataclass(frozen=True)
class Activation:
    """A pointwise function in a cell's equations."""

    name: str
    function: str
    value: Expression

    @property
    def gate(self) -> bool:
        """Whether it opens and shuts: from 0 to 1."""
        return self.function in GATES


@lru_cache(maxsize=256)
def activations(cell: Cell) -> tuple[Activation, ...]:
    """The functions of a cell's equations that change from step to step, those of gates first, in the gates' order.

    One is called as the gate it is of, i or f; as what its shift says where a product inside the step makes it (`n` of
    a unit `shift_n`), else as that product; a function of states, or of what comes beside x, as it is written: tanh(c),
    exp(relu(dt)). Of two with one name the later is numbered: f, f_2.
    """
    nodes = _changing(cell)
    found = [_named(cell, node) for node in nodes]
    counts = Counter(name for name, _ in found)
    names = [shift if counts[name] > 1 and shift else name for name, shift in found]
    seen: Counter[str] = Counter()
    out = []
    for name, node in zip(names, nodes, strict=True):
        seen[name] += 1
        out.append(Activation(name if seen[name] == 1 else f"{name}_{seen[name]}", node.label, node))
    order = {gate: k for k, gate in enumerate(cell.gates)}
    return tuple(sorted(out, key=lambda one: order.get(one.name, len(order))))


@lru_cache(maxsize=256)
def kept(cell: Cell) -> Mapping[str, Expression]:
    """State → the share of its old value that goes straight into its new one, f in c = f·c + i·g.

    It is ∂(new)/∂(old) with functions and products taken as they come: what passes through them is not kept but made
    anew. States without such a share are left out.
    """
    found = {s: _share(r, s, {}) for s, r in zip(cell.state, cell.results, strict=True)}
    return {state: share for state, share in found.items() if share is not None}


@lru_cache(maxsize=256)
def watched(cell: Cell) -> Mapping[str, Expression]:
    """Activations by name, and as `kept c` what is kept of each state: what a trace evaluates."""
    return {a.name: a.value for a in activations(cell)} | {KEPT + s: share for s, share in kept(cell).items()}


def slope(cell: Cell) -> float | None:
    """The largest slope of φ where the cell is h = φ(W_ih x + W_hh h + b), an Elman network; None: it is none."""
    (result, *others), largest = cell.results, {"identity": 1.0, "tanh": 1.0, "relu": 1.0, "hard_tanh": 1.0}
    largest |= {"sigmoid": 0.25, "hard_sigmoid": 1 / 6, "softplus": 1.0}
    if others:
        return None
    if result.op == "gate":
        return largest["identity"]
    if result.op == "function" and len(result.args) == 1 and result.args[0].op == "gate":
        return largest.get(result.label)
    return None


def _changing(cell: Cell) -> list[Expression]:
    """The functions whose value is another at every step."""
    changing: set[int] = set()
    for node in cell.nodes:
        if any(id(a) in changing for a in node.args) if node.args else node.op not in ("number", "unit", "scalar"):
            changing.add(id(node))
    return [node for node in cell.nodes if node.op == "function" and id(node) in changing]


def _named(cell: Cell, node: Expression) -> tuple[str, str]:
    """A function's name, and what the one shift in its argument says, for where several have this name."""
    reached = list(_reached(cell, node))
    of = {kind: list(dict.fromkeys(name for k, name in reached if k == kind)) for kind, _ in reached}
    shifts = of.get("shift", [])
    shift = shifts[0] if len(shifts) == 1 else ""
    if "gate" in of:
        return of["gate"][0], shift
    if shift and "product" in of:
        return shift, shift
    if "product" in of:
        return of["product"][0], shift
    return f"{node.label}({', '.join(of.get('state') or of.get('function', ['']))})", shift


def _reached(cell: Cell, node: Expression) -> Iterator[tuple[str, str]]:
    """What a function is of, back to gates, products, states and other functions: kind and name of each."""
    news = dict(zip(map(id, cell.results), cell.state, strict=True))
    stack = list(reversed(node.args))
    while stack:
        here = stack.pop()
        if id(here) in news:
            yield "state", news[id(here)]
        elif here.op in ("gate", "gate_input", "gate_recurrent"):
            yield "gate", here.label
        elif here.op in ("state", "x", "given"):
            yield "state", here.label
        elif here.op == "unit" and here.label.startswith("shift_"):
            yield "shift", here.label.removeprefix("shift_")
        elif here.op == "project":
            yield "product", here.label
        elif here.op == "part" and here.args[0].op == "project":
            yield "product", f"{here.args[0].label}.{here.label}"
        elif here.op == "part":
            stack.append(here.args[0].args[int(here.label)])
        elif here.op == "function":
            yield "function", _named(cell, here)[0]
        else:
            stack.extend(reversed(here.args))


def _number(value: int) -> Expression:
    return Expression("number", label=str(value))


def _is(node: Expression, value: int) -> bool:
    return node.op == "number" and float(node.label) == value


def _share(node: Expression, state: str, made: dict[int, Expression | None]) -> Expression | None:
    """∂node/∂state, functions and products held; None: 0."""
    if id(node) not in made:
        made[id(node)] = _share_of(node, state, made)
    return made[id(node)]


def _share_of(node: Expression, state: str, made: dict[int, Expression | None]) -> Expression | None:
    if node.op == "state":
        return _number(1) if node.label == state else None
    if node.op not in ("add", "subtract", "multiply", "divide"):
        return None
    (a, b), (of_a, of_b) = node.args, (_share(argument, state, made) for argument in node.args)
    if node.op == "add":
        return of_a + of_b if of_a is not None and of_b is not None else of_a if of_b is None else of_b
    if node.op == "subtract":
        return of_a if of_b is None else _number(0) - of_b if of_a is None else of_a - of_b
    if node.op == "divide":
        return None if of_a is None else of_a / b
    left = None if of_a is None else b if _is(of_a, 1) else of_a * b
    right = None if of_b is None else a if _is(of_b, 1) else a * of_b
    return left + right if left is not None and right is not None else left if right is None else right
