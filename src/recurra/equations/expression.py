"""Expressions: what the equations of a step are written with, symbols and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from recurra.equations.starts import Drawn
from recurra.errors import ConfigError

Number = int | float


class Expression:
    """A node of a step's computation: `op` says what it makes of `args`; `label` names symbols, weights, functions."""

    __slots__ = ("args", "label", "op", "parts", "start", "wide")

    def __init__(
        self,
        op: str,
        args: tuple[Expression, ...] = (),
        label: str = "",
        start: float | Drawn | None = None,
        parts: int = 1,
        wide: bool = False,
    ) -> None:
        self.op, self.args, self.label, self.start, self.parts, self.wide = op, args, label, start, parts, wide

    def __add__(self, other: Expression | Number) -> Expression:
        return Expression("add", (self, wrap(other)))

    def __radd__(self, other: Number) -> Expression:
        return Expression("add", (wrap(other), self))

    def __sub__(self, other: Expression | Number) -> Expression:
        return Expression("subtract", (self, wrap(other)))

    def __rsub__(self, other: Number) -> Expression:
        return Expression("subtract", (wrap(other), self))

    def __mul__(self, other: Expression | Number) -> Expression:
        return Expression("multiply", (self, wrap(other)))

    def __rmul__(self, other: Number) -> Expression:
        return Expression("multiply", (wrap(other), self))

    def __truediv__(self, other: Expression | Number) -> Expression:
        return Expression("divide", (self, wrap(other)))

    def __rtruediv__(self, other: Number) -> Expression:
        return Expression("divide", (wrap(other), self))

    def __neg__(self) -> Expression:
        return Expression("subtract", (wrap(0), self))

    def __bool__(self) -> bool:
        raise ConfigError("an equation has no truth value: a step is the same for every unit, use maximum or relu.")

    def __repr__(self) -> str:
        return self.label if not self.args else f"{self.label or self.op}({', '.join(map(repr, self.args))})"


class Gate(Expression):
    """A gate's pre-activation: whole it is `input + recurrent`; `.input` and `.recurrent` are its two parts."""

    __slots__ = ("input", "recurrent")

    def __init__(self, name: str) -> None:
        super().__init__("gate", label=name)
        self.input = Expression("gate_input", label=name)
        self.recurrent = Expression("gate_recurrent", label=name)


def _digits(value: Number) -> str:
    """A number as it is written in an expression; raises ConfigError for one beyond all floats."""
    try:
        number = float(value)
    except OverflowError:
        raise ConfigError("a number of an equation is beyond what a float holds, about 1.8 · 10³⁰⁸.") from None
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def wrap(value: Expression | Number) -> Expression:
    """A number as an expression, an expression as it is; raises ConfigError for anything else."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, (int, float)):
        return Expression("number", label=_digits(value))
    raise ConfigError(f"{value!r} is a {type(value).__name__}; equations take symbols and numbers.")


def _function(name: str) -> Callable[[Expression], Expression]:
    def apply(v: Expression) -> Expression:
        return Expression("function", (wrap(v),), name)

    apply.__name__, apply.__doc__ = name, f"Pointwise {name}."
    return apply


sigmoid, tanh, relu, softplus = map(_function, ("sigmoid", "tanh", "relu", "softplus"))
exp, log, hard_sigmoid, hard_tanh = map(_function, ("exp", "log", "hard_sigmoid", "hard_tanh"))


def maximum(a: Expression | Number, b: Expression | Number) -> Expression:
    """The larger of two, unit by unit; where they are equal the derivative goes to `a`."""
    return Expression("function", (wrap(a), wrap(b)), "maximum")


def unit(name: str, start: float | Drawn | None = None, width: Literal["units", "input"] = "units") -> Expression:
    """A learned vector with one entry per unit [H], e.g. a peephole, or per input value with width="input". `start`:
    its first value, or the distribution its values are drawn from (default: uniform in ±1/√H)."""
    return Expression("unit", label=name, start=start, wide=width == "input")


def scalar(name: str, start: float | Drawn | None = None) -> Expression:
    """A single learned number."""
    return Expression("scalar", label=name, start=start)


def mask(name: str) -> Expression:
    """A factor drawn anew per sequence or per step by whoever runs the cell; it gets no gradient."""
    return Expression("mask", label=name)


def raw_input() -> Expression:
    """The layer's input x itself; where it meets values of H units, input and hidden size must agree."""
    return Expression("x", label="x")


dt = Expression("given", label="dt")
"""The time since the step before, in units of the usual step; one number a step, for every unit the same."""
seen = Expression("given", label="seen", wide=True)
"""1 where an input value was measured at this step, 0 where it is missing and x only stands for it; as wide as x."""
since = Expression("given", label="since", wide=True)
"""The time since an input value was last seen before this step, in units of the usual step; as wide as x."""
GIVEN = {node.label: node for node in (dt, seen, since)}
"""What comes beside x with every step, by name. Where a caller gives none of it every step is a usual one and nothing
is missing: dt = seen = since = 1."""


def total(v: Expression) -> Expression:
    """A seam of cells over trees whose children are all alike: the sum over a node's children of a value that is made
    for each of them (Tai, Socher & Manning 2015, eq. 2 and 7)."""
    return Expression("total", (wrap(v),))


def lower(state: str) -> Expression:
    """A state of the layer below at the same time step (depth-gated LSTM)."""
    return Expression("lower", label=state)


def project(v: Expression, name: str = "project", parts: int = 1, width: Literal["units", "input"] = "units") -> Any:
    """A seam: the product `v · Wᵀ` with a learned matrix called `name`, inside the step.

    One part gives one result, several give a tuple of them from one matrix [parts · H, width of v]. A result has H
    units, or as many as x with width="input". Biases are written in the equations (`unit`).
    """
    return _parts(Expression("project", (wrap(v),), name, parts=parts, wide=width == "input"))


def layer_norm(*values: Expression) -> Any:
    """A seam: the values, side by side as one row, shifted to mean 0 and scaled to variance 1 (Ba et al. 2016, eq. 3).

    One value gives one result, several give a tuple. Gain and bias are written in the equations.
    """
    found = _parts(Expression("norm_row", values, parts=len(values)))
    return found if isinstance(found, tuple) else Expression("part", (found,), "0")


def _parts(seam: Expression) -> Any:
    """A seam's results: itself, or a tuple of its parts."""
    if seam.parts == 1:
        return seam
    return tuple(Expression("part", (seam,), str(k)) for k in range(seam.parts))


def walk(*roots: Expression) -> Iterator[Expression]:
    """Every node once, arguments before the nodes that use them."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))


def with_numbers(
    roots: tuple[Expression, ...], number: Callable[[Expression], Number | None]
) -> tuple[Expression, ...]:
    """The expressions with numbers for some symbols, and without what comes to nothing by that; `number` gives a
    symbol's, None where it stays."""
    made: dict[int, Expression] = {}
    for node in walk(*roots):
        args = tuple(made[id(a)] for a in node.args)
        values = tuple(float(a.label) if a.op == "number" else None for a in args)
        value = number(node) if not args else _folded(node, values)
        if value is not None:
            made[id(node)] = wrap(value)
        elif (node.op in ("add", "subtract") and values[1] == 0) or (
            node.op in ("multiply", "divide") and values[1] == 1
        ):
            made[id(node)] = args[0]
        elif (node.op == "add" and values[0] == 0) or (node.op == "multiply" and values[0] == 1):
            made[id(node)] = args[1]
        elif args == node.args:
            made[id(node)] = node
        else:
            made[id(node)] = Expression(node.op, args, node.label, node.start, node.parts, node.wide)
    return tuple(made[id(r)] for r in roots)


AT_ZERO = {"relu": 0, "tanh": 0, "hard_tanh": 0, "exp": 1}
"""Functions whose value at 0 is a whole number."""


def _folded(node: Expression, values: tuple[float | None, ...]) -> float | None:
    """The number that a node comes to where its arguments are these; None: it is none."""
    first, nothing = values[0], 0.0 in values
    if (node.op in ("project", "part", "multiply", "total") and nothing) or (node.op == "divide" and first == 0):
        return 0
    if node.op == "function" and len(values) == 1 and first == 0:
        return AT_ZERO.get(node.label)
    if node.op in ("add", "subtract") and None not in values:
        return first + (values[1] if node.op == "add" else -values[1])  # type: ignore[operator]
    return None
