"""Pointwise expressions in the infix notation that C++ and Triton share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Infix:
    """How one of the two spells numbers; a value named v is the variable `v_v` in both."""

    number: Callable[[float], str]
    wide: Callable[[str], str]
    """A number as a whole vector of it, which functions take."""

    def vector(self, value: sp.Expr) -> str:
        """An expression that is a vector even where the value is a number."""
        return self.wide(self.number(float(value))) if value.is_Number else self(value)

    def __call__(self, value: sp.Expr) -> str:
        """The expression; sums begin with a term that has no minus sign where there is one."""
        if value.is_Symbol:
            return f"v_{value}"
        if value.is_Number:
            return self.number(float(value))
        if value.is_Add:
            number, rest = value.as_coeff_Add()
            out = "" if number == 0 else self.number(float(number))
            for term in sorted(sp.Add.make_args(rest), key=lambda t: (t.could_extract_minus_sign(), str(t))):
                negative = term.could_extract_minus_sign()
                text = self(-term if negative else term)
                out += f" - {text}" if negative else f" + {text}" if out else text
            return f"({out.strip()})"
        if value.is_Mul:
            number, rest = value.as_coeff_Mul()
            factors = sp.Mul.make_args(rest)
            above = [self(f) for f in factors if not (f.is_Pow and f.args[1].is_negative)]
            below = [self(1 / f) for f in factors if f.is_Pow and f.args[1].is_negative]
            if number != 1 or not above:
                above.insert(0, self.number(float(number)))
            return f"({' * '.join(above)}{''.join(f' / {b}' for b in below)})"
        if value.is_Pow:
            base, power = value.args[0], int(value.args[1])
            if power < 0:
                return f"({self.number(1.0)} / {self(base**-power)})"
            return f"({' * '.join([self(base)] * power)})"
        return f"{type(value).__name__}({', '.join(map(self.vector, value.args))})"
