"""The pointwise functions of the language as symbols, with their derivatives.

A derivative is written with the function's own result wherever it can be (σ' = σ(1 - σ)), so that the backward needs
the result and not the argument.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

Derivative = Callable[[tuple[sp.Expr, ...], sp.Expr], tuple[sp.Expr, ...]]


class Pointwise(sp.Function):
    """A function of the language; opaque to sympy, so that nothing is rewritten behind our back."""

    @classmethod
    def eval(cls, *args: sp.Expr) -> None:
        return None


def _pointwise(name: str) -> type[Pointwise]:
    return type(name, (Pointwise,), {})


SYMBOLS: dict[str, type[Pointwise]] = {
    name: _pointwise(name)
    for name in ["sigmoid", "tanh", "relu", "softplus", "exp", "log", "hard_sigmoid", "hard_tanh", "maximum", "step"]
}
step = SYMBOLS["step"]
"""1 where the argument is positive, else 0; its derivative counts as 0."""

DERIVATIVES: dict[str, Derivative] = {
    "sigmoid": lambda v, y: (y * (1 - y),),
    "tanh": lambda v, y: (1 - y**2,),
    "relu": lambda v, y: (step(y),),
    "softplus": lambda v, y: (SYMBOLS["sigmoid"](v[0]),),
    "exp": lambda v, y: (y,),
    "log": lambda v, y: (1 / v[0],),
    "hard_sigmoid": lambda v, y: (step(y) * step(1 - y) / 6,),
    "hard_tanh": lambda v, y: (step(1 + y) * step(1 - y),),
    "maximum": lambda v, y: (1 - step(v[1] - v[0]), step(v[1] - v[0])),
}
