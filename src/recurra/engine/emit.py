"""Pointwise expressions as lines of torch calls, with as few passes over memory as torch's operations allow."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

CALLS = {
    "sigmoid": "torch.sigmoid({})",
    "tanh": "torch.tanh({})",
    "relu": "torch.clamp_min({}, 0)",
    "softplus": "F.softplus({})",
    "exp": "torch.exp({})",
    "log": "torch.log({})",
    "hard_sigmoid": "F.hardsigmoid({})",
    "hard_tanh": "F.hardtanh({})",
    "maximum": "torch.maximum({}, {})",
    "step": "({0} > 0).to({0}.dtype)",
}
IN_PLACE = {
    "sigmoid": "{}.sigmoid_()",
    "tanh": "{}.tanh_()",
    "relu": "{}.clamp_min_(0)",
    "exp": "{}.exp_()",
    "log": "{}.log_()",
}


class Lines:
    """Collects lines of Python; `spell` turns a value's name into the variable that holds it here."""

    def __init__(self, spell: Callable[[str], str], narrow: frozenset[str], indent: int = 1) -> None:
        self.spell, self.narrow, self.pad = spell, narrow, "    " * indent
        self.lines: list[str] = []
        self.count = 0

    def order(self, expression: sp.Expr) -> tuple[int, int, str]:
        """Of terms and factors: plain values, short products, the rest; what is narrower than a row ([H], [1]) last,
        since a sum cannot start from it and go on in place."""
        _, body = expression.as_coeff_Mul()
        narrow = all(str(s) in self.narrow for s in expression.free_symbols)
        return (
            narrow,
            0 if expression.is_Symbol else 1 if body.is_Symbol else 2 if body.is_Mul else 3,
            str(expression),
        )

    def __call__(self, line: str) -> None:
        self.lines.append(self.pad + line)

    def temporary(self) -> str:
        self.count += 1
        return f"_{self.count}"

    def value(self, expression: sp.Expr) -> str:
        """A variable or literal that holds the expression."""
        if expression.is_Symbol:
            return self.spell(str(expression))
        if expression.is_Number:
            return repr(float(expression))
        name = self.temporary()
        self.assign(name, expression)
        return name

    def assign(self, target: str, expression: sp.Expr, into: bool = False) -> None:
        """`target` = expression; with `into` the target is a tensor that exists and is written to."""
        if expression.is_Add:
            self._sum(target, expression, into)
        elif expression.is_Mul:
            self._product(target, expression, into)
        elif expression.is_Pow:
            self._power(target, expression, into)
        elif expression.is_Function:
            self._function(target, expression, into)
        elif into:
            self(
                f"{target}.copy_({self.value(expression)})" if expression.is_Symbol else f"{target}.fill_({expression})"
            )
        else:
            self(f"{target} = {self.value(expression)}")

    def _put(self, target: str, call: str, into: bool) -> None:
        """`call` ends in a parenthesis that can take an `out` argument."""
        self(f"{call[:-1]}, out={target})" if into else f"{target} = {call}")

    def _function(self, target: str, expression: sp.Expr, into: bool) -> None:
        name = type(expression).__name__
        call = CALLS[name].format(*map(self.value, expression.args))
        if into and call.startswith("torch."):
            self._put(target, call, into)
        else:
            self(f"{target}.copy_({call})" if into else f"{target} = {call}")

    def _power(self, target: str, expression: sp.Expr, into: bool) -> None:
        base, exponent = expression.args
        call = {
            2: f"torch.square({self.value(base)})",
            -1: f"torch.reciprocal({self.value(base)})",
        }.get(int(exponent), f"torch.pow({self.value(base)}, {int(exponent)})")
        self._put(target, call, into)

    def _product(self, target: str, expression: sp.Expr, into: bool) -> None:
        number, rest = expression.as_coeff_Mul()
        above = [f for f in sp.Mul.make_args(rest) if not (f.is_Pow and f.args[1].is_negative)]
        below = [1 / f for f in sp.Mul.make_args(rest) if f.is_Pow and f.args[1].is_negative]
        factors = [self.value(f) for f in sorted(above, key=self.order)]
        divisors = [self.value(f) for f in below]
        if number != 1 or not factors:
            factors.append(repr(float(number)))
        if len(factors) > 1:
            self._put(target, f"torch.mul({factors[0]}, {factors[1]})", into)
        else:
            self._put(target, f"torch.div({factors[0]}, {divisors.pop(0)})", into)
        for factor in factors[2:]:
            self(f"{target}.mul_({factor})")
        for divisor in divisors:
            self(f"{target}.div_({divisor})")

    def _sum(self, target: str, expression: sp.Expr, into: bool) -> None:
        if (blend := _blend(expression)) is not None:
            start, end, weight = map(self.value, blend)
            self._put(target, f"torch.lerp({start}, {end}, {weight})", into)
            return
        number, rest = expression.as_coeff_Add()
        terms = sorted(sp.Add.make_args(rest), key=self.order)
        first, others = terms[0], terms[1:]
        if number != 0:
            factor, body = first.as_coeff_Mul()
            if factor == -1:
                start = self.value(body)
                self(
                    f"torch.neg({start}, out={target}).add_({float(number)!r})"
                    if into
                    else f"{target} = {float(number)!r} - {start}"
                )
            else:
                self._put(target, f"torch.add({self.value(first)}, {float(number)!r})", into)
        elif self._factors(first) is None and others:
            # a term that is a plain value starts the sum; the next one is fused with it
            start = self.value(first)
            self._accumulate(target, start, others.pop(0), into)
        else:
            self.assign(target, first, into)
        for term in others:
            self._accumulate(target, target, term, in_place=True)

    def _accumulate(self, target: str, start: str, term: sp.Expr, into: bool = False, in_place: bool = False) -> None:
        number, body = term.as_coeff_Mul()
        pair = self._factors(term)
        if pair is not None:
            a, b = map(self.value, pair)
            extra = "" if number == 1 else f", value={float(number)!r}"
            if in_place:
                self(f"{target}.addcmul_({a}, {b}{extra})")
            else:
                self._put(target, f"torch.addcmul({start}, {a}, {b}{extra})", into)
            return
        extra = "" if number == 1 else f", alpha={float(number)!r}"
        value = self.value(body)
        if in_place:
            self(f"{target}.add_({value}{extra})")
        else:
            self._put(target, f"torch.add({start}, {value}{extra})", into)

    def _factors(self, term: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
        """A product without its number, as two factors; None for anything else."""
        _, body = term.as_coeff_Mul()
        factors = sp.Mul.make_args(body)
        if len(factors) < 2 or any(x.is_Pow and x.args[1].is_negative for x in factors):
            return None
        factors = sorted(factors, key=self.order)
        return sp.Mul(*factors[:-1]), factors[-1]


def _blend(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """(1 - w)·a + w·b as (a, b, w)."""
    if len(expression.args) != 2 or not all(a.is_Mul for a in expression.args):
        return None
    for one, other in (expression.args, expression.args[::-1]):
        for factor in one.args:
            w = 1 - factor
            if w.is_Symbol and w in other.args:
                return one / factor, other / w, w
    return None
