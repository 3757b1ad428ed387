"""A cell's equations and derived backward, as readable text and as LaTeX."""

from __future__ import annotations

import re

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from recurra.equations.children import EACH
from recurra.equations.derive import PLAIN, Derivation, derive
from recurra.equations.language import Cell
from recurra.equations.starts import write_starts
from recurra.equations.statements import (
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Spread,
    Statement,
    Total,
)

GREEK = {"sigmoid": "σ", "tanh": "tanh", "softplus": "softplus", "maximum": "max", "step": "step"}


class _Text(StrPrinter):
    def _print_Function(self, expr: sp.Expr) -> str:
        name = type(expr).__name__
        return f"{GREEK.get(name, name)}({', '.join(map(self._print, expr.args))})"

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return _word(str(expr))

    def _print_Mul(self, expr: sp.Expr) -> str:
        return super()._print_Mul(expr).replace("*", "·")

    def _print_Pow(self, expr: sp.Expr, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**2", "²")


def _word(name: str) -> str:
    """Names as they are read: h_prev → h′, d_v → δv, e_h_prev → e(h′), g_h → ḡ_h."""
    if name.startswith("d_"):
        return f"δ{_word(name[2:])}"
    if match := re.fullmatch(r"(e\d*)_(\w+)", name):
        return f"{match[1]}({_word(match[2])})"
    if name.startswith("g_"):
        return f"ḡ_{name[2:]}"
    if match := re.fullmatch(r"child_([a-z]+)(?:_(\w+))?", name):
        return f"{match[1]}_{match[2] or 'k'}"
    return name.removeprefix("given_").replace("_prev", "′")


def _weight(name: str) -> str:
    return f"W_{name}"


def _text(st: Statement) -> str:
    printer = _Text()
    match st:
        case Pointwise(name, value):
            return f"{_word(name)} = {printer.doprint(value)}"
        case Product(outs, weight, argument):
            bias = f" + b_{weight}" if weight in ("ih", "hh") else ""
            return f"[{' '.join(map(_word, outs))}] = {_weight(weight)} {_word(argument)}{bias}"
        case ProductTransposed(out, weight, grads):
            return f"{_word(out)} = {_weight(weight)}ᵀ [{' '.join(map(_word, grads))}]"
        case Norm(outs, arguments, scale):
            return f"[{' '.join(outs)}], {scale} = norm([{' '.join(map(_word, arguments))}])"
        case NormTransposed(outs, grads, results, scale):
            g, y = " ".join(map(_word, grads)), " ".join(results)
            return f"[{' '.join(outs)}] = {scale}·(g - mean(g) - y·mean(g·y)) with g = [{g}], y = [{y}]"
        case Total(out, argument):
            return f"{_word(out)} = Σ_k {_word(argument)}"
        case Spread(out, argument):
            return f"{_word(out)} = {_word(argument)}, for every child k"


def _over_children(cell: Cell) -> list[str]:
    """The pre-activations of a cell over trees, which its engine makes."""
    if not cell.children:
        return []
    whole = f"[{' '.join(f'a_{g}' for g in cell.node_gates)}] = W_ih x + b_ih"
    if cell.children != EACH:
        return [whole + "".join(f" + W_{c} {cell.state[0]}_{c}" for c in cell.children)]
    each = f"[{' '.join(f'a_{g}' for g in cell.child_gates)}] = W_ih x + b_ih + W_each {cell.state[0]}_k"
    each += ", for every child k"
    return [f"{whole} + W_sum Σ_k {cell.state[0]}_k", *([each] if cell.child_gates else [])]


def text(cell: Cell) -> str:
    """Equations forward, what is kept, and the derived backward, one statement a line."""
    d = derive(cell, PLAIN)
    lines = [f"{cell.name}: {cell.equations.__doc__ or ''}".strip(), f"source: {cell.source}"]
    lines += [f"start: {write_starts(cell.start)}", ""] if cell.start else [""]
    lines += [
        "forward (h_k: of any child)"
        if cell.children == EACH
        else "forward (h_left: of that child)"
        if cell.children
        else "forward (′ marks the step before)"
    ]
    lines += [*(f"  {line}" for line in _over_children(cell)), *(f"  {_text(st)}" for st in d.forward), ""]
    lines += [f"kept for the backward, besides states: {' '.join(map(_word, d.kept)) or 'nothing'}", ""]
    lines += ["backward (ḡ arrives from outside, δv is ∂L/∂v, e(v) the part of it a product or norm hands back)"]
    lines += [f"  {_text(st)}" for st in (*d.recomputed, *d.backward)]
    lines += [
        "",
        "summed over nodes: each weight's rows of δa times what it multiplies" if cell.children else "summed over time",
    ]
    for weight, (argument, grads) in d.weight_gradients.items():
        bias = f", ∇b_{weight} = Σ [{' '.join(map(_word, grads))}]" if weight in ("ih", "hh") and cell.bias else ""
        lines.append(f"  ∇{_weight(weight)} = Σ [{' '.join(map(_word, grads))}] {_word(argument)}ᵀ{bias}")
    lines += [f"  ∇{leaf} = Σ {_word(name)}" for leaf, name in d.gradients.items() if leaf in cell.parameters]
    return "\n".join(lines)


class _Latex(LatexPrinter):
    def _print_Function(self, expr: sp.Expr, exp: str | None = None) -> str:
        name = {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "maximum": r"\max"}
        call = name.get(type(expr).__name__, rf"\operatorname{{{type(expr).__name__.replace('_', '-')}}}")
        call += rf"\left({', '.join(map(self._print, expr.args))}\right)"
        return call if exp is None else f"{call}^{{{exp}}}"

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        return _tex(str(expr))


def _tex(name: str) -> str:
    """h_prev → h_{t-1}, a_i_in → a_{i}^{in}, d_v → \\delta v, g_h → \\bar g_{h}."""
    if name.startswith("d_"):
        return rf"\delta {_tex(name[2:])}"
    if match := re.fullmatch(r"e(\d*)_(\w+)", name):
        return f"e{f'^{{({match[1]})}}' if match[1] else ''}\\left({_tex(match[2])}\\right)"
    if name.startswith("g_"):
        return rf"\bar{{g}}_{{{name[2:]}}}"
    if name.startswith("given_"):
        return rf"\mathrm{{{name[6:]}}}_t"
    if match := re.fullmatch(r"child_([a-z])(?:_(\w+))?", name):
        return f"{match[1]}_{{{match[2] or 'k'}}}"
    if name.endswith("_prev"):
        return f"{name[:-5]}_{{t-1}}"
    if match := re.fullmatch(r"a_(\w+?)(?:_(in|rec))?", name):
        above = f"^{{\\mathrm{{{match[2]}}}}}" if match[2] else ""
        return f"a_{{{match[1].replace('_', chr(92) + ',')}}}{above}"
    if re.fullmatch(r"[a-z]", name):
        return f"{name}_t"
    if match := re.fullmatch(r"([a-z])_?(\w+)", name):
        below = match[2].replace("_", r"\_")
        return f"{match[1]}_{{{below}}}" if name.startswith("v_") else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    return rf"\mathrm{{{name}}}"


def _latex(st: Statement) -> str:
    printer = _Latex({"mul_symbol": r" \odot "})

    def row(names: tuple[str, ...]) -> str:
        return r"\left[" + r"\; ".join(map(_tex, names)) + r"\right]"

    match st:
        case Pointwise(name, value):
            return f"{_tex(name)} &= {printer.doprint(value)}"
        case Product(outs, weight, argument):
            bias = f" + b_{{{weight}}}" if weight in ("ih", "hh") else ""
            return f"{row(outs)} &= W_{{{weight}}}\\, {_tex(argument)}{bias}"
        case ProductTransposed(out, weight, grads):
            return f"{_tex(out)} &= W_{{{weight}}}^\\top {row(grads)}"
        case Norm(outs, arguments, _):
            return f"{row(outs)} &= \\operatorname{{norm}} {row(arguments)}"
        case NormTransposed(outs, grads, results, scale):
            g, y = row(grads), row(results)
            return (
                f"{row(outs)} &= {_tex(scale)} \\left(g - \\overline{{g}} - y \\, \\overline{{g \\odot y}}\\right),"
                f"\\; g = {g},\\; y = {y}"
            )
        case Total(out, argument):
            return f"{_tex(out)} &= \\sum_k {_tex(argument)}"
        case Spread(out, argument):
            return f"{_tex(out)} &= {_tex(argument)} \\quad \\text{{for every child }} k"


def _latex_over_children(cell: Cell) -> list[str]:
    """As `_over_children`."""
    if not cell.children:
        return []

    def row(gates: tuple[str, ...]) -> str:
        return "\\left[" + "\\; ".join(_tex(f"a_{g}") for g in gates) + "\\right] &= W_{ih}\\, x + b_{ih}"

    h = cell.state[0]
    if cell.children != EACH:
        return [row(cell.node_gates) + "".join(f" + W_{{{c}}}\\, {h}_{{{c}}}" for c in cell.children)]
    each = f"{row(cell.child_gates)} + W_{{each}}\\, {h}_k \\quad \\text{{for every child }} k"
    return [f"{row(cell.node_gates)} + W_{{sum}} \\sum_k {h}_k", *([each] if cell.child_gates else [])]


def latex(cell: Cell) -> str:
    """Two `aligned` blocks, forward and backward."""
    d: Derivation = derive(cell, PLAIN)

    def block(lines: list[str]) -> str:
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    sums = []
    for weight, (argument, grads) in d.weight_gradients.items():
        row = r"\; ".join(map(_tex, grads))
        bias = weight in ("ih", "hh") and cell.bias
        tail = f",\\quad \\nabla b_{{{weight}}} = \\sum_t \\left[{row}\\right]" if bias else ""
        sums.append(f"\\nabla W_{{{weight}}} &= \\sum_t \\left[{row}\\right] {_tex(argument)}^\\top{tail}")
    for leaf, name in d.gradients.items():
        if leaf in cell.parameters:
            sums.append(f"\\nabla {_tex(leaf)} &= \\sum_t {_tex(name)}")
    forward = block([*_latex_over_children(cell), *(_latex(st) for st in d.forward)])
    backward = block([*(_latex(st) for st in (*d.recomputed, *d.backward)), *sums])
    return f"% {cell.name}, forward\n{forward}\n\n% {cell.name}, backward\n{backward}"
