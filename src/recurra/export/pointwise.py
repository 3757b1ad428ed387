"""One step of a cell as ONNX nodes, from the statements that were derived from its equations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import reduce
from typing import Any

import sympy as sp
from torch import Tensor

from recurra.engine.layer import NORM_EPSILON
from recurra.equations.statements import Norm, Pointwise, Product, Statement
from recurra.export.graph import FLOAT, Graph

Values = MutableMapping[str, str]
"""The name of a value in the equations → its name in the graph."""

NAMES = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus", "exp": "Exp", "log": "Log"}
"""Functions of the language that are nodes without more ado."""


def write(graph: Graph, statements: Iterable[Statement], values: Values, weights: Mapping[str, Tensor]) -> None:
    """Compute the statements of a forward from what `values` holds, and put what they make there, too.

    The last axis of a value is its units; the others are those of what was given, batch and perhaps time.
    """
    for statement in statements:
        match statement:
            case Pointwise(name, value):
                values[name] = expression(graph, value, values)
            case Product(outs, weight, argument):
                y = graph.matmul(values[argument], weights[f"weight_{weight}"], weights.get(f"bias_{weight}"))
                values.update(zip(outs, graph.split(y, len(outs)), strict=True))
            case Norm(outs, arguments, _):
                row = graph.concat([values[a] for a in arguments], -1)
                values.update(zip(outs, graph.split(_normed(graph, row), len(outs)), strict=True))
            case _:
                raise AssertionError(statement)


def expression(graph: Graph, value: sp.Expr, values: Mapping[str, str]) -> str:
    """The value of a pointwise expression."""

    def made(inner: sp.Expr) -> str:
        return expression(graph, inner, values)

    if value.is_Symbol:
        return values[str(value)]
    if value.is_Number:
        return graph.constant(float(value))
    if value.is_Add:
        return _sum(graph, value, made)
    if value.is_Mul:
        return _product(graph, value, made)
    if value.is_Pow:
        base, power = value.args[0], int(value.args[1])
        if power < 0:
            return graph.op("Div", graph.constant(1.0), made(base**-power))
        return reduce(lambda a, b: graph.op("Mul", a, b), [made(base)] * power)
    return _function(graph, type(value).__name__, [made(argument) for argument in value.args])


def _sum(graph: Graph, value: sp.Expr, made: Callable[[sp.Expr], str]) -> str:
    terms = sorted(sp.Add.make_args(value), key=lambda t: (t.could_extract_minus_sign(), str(t)))
    total = made(terms[0])
    for term in terms[1:]:
        negative = term.could_extract_minus_sign()
        total = graph.op("Sub" if negative else "Add", total, made(-term if negative else term))
    return total


def _product(graph: Graph, value: sp.Expr, made: Callable[[sp.Expr], str]) -> str:
    number, rest = value.as_coeff_Mul()
    factors = sp.Mul.make_args(rest)
    above = [made(f) for f in factors if not (f.is_Pow and f.args[1].is_negative)]
    below = [made(1 / f) for f in factors if f.is_Pow and f.args[1].is_negative]
    if number == -1 and above and not below:
        return graph.op("Neg", reduce(lambda a, b: graph.op("Mul", a, b), above))
    if number != 1 or not above:
        above.insert(0, graph.constant(float(number)))
    return reduce(lambda a, b: graph.op("Div", a, b), below, reduce(lambda a, b: graph.op("Mul", a, b), above))


def _function(graph: Graph, name: str, arguments: list[str]) -> str:
    if name in NAMES:
        return graph.op(NAMES[name], *arguments)
    if name == "maximum":
        return graph.op("Max", *arguments)
    if name == "hard_sigmoid":
        return graph.op("HardSigmoid", *arguments, attributes={"alpha": 1 / 6, "beta": 0.5})
    if name == "hard_tanh":
        return graph.op("Clip", *arguments, graph.constant(-1.0), graph.constant(1.0))
    assert name == "step", name
    return graph.cast(graph.op("Greater", *arguments, graph.constant(0.0)), FLOAT)


def _normed(graph: Graph, row: str) -> str:
    """The row at mean 0 and variance 1."""
    centred = graph.op("Sub", row, graph.reduce("ReduceMean", row, -1, keep=True))
    variance: Any = graph.reduce("ReduceMean", graph.op("Mul", centred, centred), -1, keep=True)
    return graph.op("Div", centred, graph.op("Sqrt", graph.op("Add", variance, graph.constant(NORM_EPSILON))))
