"""The statements that a cell's step is made of, forward and backward: pointwise ones, and the seams between them."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

BESIDE = ("mask_", "lower_", "given_", "child_")
"""Beginnings of the names of values that come with x, one row a step: masks, states of the layer below, what
recurra.equations.expression.GIVEN lists, and states of the children of a tree's node."""


@dataclass(frozen=True)
class Pointwise:
    """`name` = `value`, unit by unit."""

    name: str
    value: sp.Expr


@dataclass(frozen=True)
class Product:
    """`outs`, side by side, = `argument` · Wᵀ, where `weight` names W (and its bias)."""

    outs: tuple[str, ...]
    weight: str
    argument: str


@dataclass(frozen=True)
class ProductTransposed:
    """`out` = `grads`, side by side, · W."""

    out: str
    weight: str
    grads: tuple[str, ...]


@dataclass(frozen=True)
class Norm:
    """`outs` = the row of `arguments` at mean 0 and variance 1; `scale` keeps 1/σ, one number a row."""

    outs: tuple[str, ...]
    arguments: tuple[str, ...]
    scale: str


@dataclass(frozen=True)
class NormTransposed:
    """`outs` = scale · (ȳ - mean(ȳ) - y · mean(ȳ · y)) over the row, with ȳ = `grads` and y = `results`."""

    outs: tuple[str, ...]
    grads: tuple[str, ...]
    results: tuple[str, ...]
    scale: str


@dataclass(frozen=True)
class Total:
    """`out` = the sum of `argument`, a row a child, over the children of each node."""

    out: str
    argument: str


@dataclass(frozen=True)
class Spread:
    """`out` = `argument`, a row a node, for each child of the node: the transpose of `Total`."""

    out: str
    argument: str


Statement = Pointwise | Product | ProductTransposed | Norm | NormTransposed | Total | Spread


def symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


def names_in(statement: Statement) -> tuple[str, ...]:
    """The values a statement reads."""
    match statement:
        case Pointwise(_, value):
            return tuple(sorted(str(s) for s in value.free_symbols))
        case Product(_, _, argument):
            return (argument,)
        case ProductTransposed(_, _, grads):
            return grads
        case Norm(_, arguments, _):
            return arguments
        case NormTransposed(_, grads, results, scale):
            return (*grads, *results, scale)
        case Total(_, argument) | Spread(_, argument):
            return (argument,)


def names_out(statement: Statement) -> tuple[str, ...]:
    """The values a statement makes."""
    match statement:
        case Pointwise(name, _):
            return (name,)
        case Product(outs, _, _) | NormTransposed(outs, _, _, _):
            return outs
        case Norm(outs, _, scale):
            return (*outs, scale)
        case ProductTransposed(out, _, _) | Total(out, _) | Spread(out, _):
            return (out,)


def renamed(statement: Statement, name: str, value: sp.Expr) -> Statement:
    """The statement with `name` replaced: by an expression in pointwise ones, by another name in seams."""

    def rename(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(value) if w == name else w for w in words)

    match statement:
        case Pointwise(own, expression):
            return Pointwise(own, expression.xreplace({symbol(name): value}))
        case Product(outs, weight, argument):
            return Product(outs, weight, *rename((argument,)))
        case ProductTransposed(out, weight, grads):
            return ProductTransposed(out, weight, rename(grads))
        case Norm(outs, arguments, scale):
            return Norm(outs, rename(arguments), scale)
        case NormTransposed(outs, grads, results, scale):
            return NormTransposed(outs, rename(grads), rename(results), scale)
        case Total(out, argument):
            return Total(out, *rename((argument,)))
        case Spread(out, argument):
            return Spread(out, *rename((argument,)))
