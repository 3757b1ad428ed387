"""What may stand in equations written as text: a whitelist over Python's syntax tree, and who reads which name how.

Nothing is executed. Whatever is not named here is refused with line and column.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from recurra.equations import language
from recurra.equations.expression import GIVEN
from recurra.equations.starts import DISTRIBUTIONS, Drawn, read_start
from recurra.errors import ConfigError, did_you_mean

POINTWISE = {
    f.__name__: f
    for f in (
        *(language.sigmoid, language.tanh, language.relu, language.softplus, language.exp, language.log),
        *(language.hard_sigmoid, language.hard_tanh, language.maximum),
    )
}
FUNCTIONS = POINTWISE | {
    f.__name__: f
    for f in (
        *(language.unit, language.scalar, language.lower, language.raw_input),
        *(language.project, language.layer_norm),
    )
}
INPUTS = ("x", *GIVEN)
"""Names that stand for what the layer is given at a step."""
PARTS = ("input", "recurrent")
LITERALS = ("name", "start", "parts", "width", "state")
"""Arguments that are no values of the step, but written out."""
SEVERAL_RESULTS = 'p, q = layer_norm(a, b) or p, q = project(v, "name", parts=2)'
HIGHEST_POWER, MOST_PARTS = 16, 16
MOST_CHARACTERS = 20_000
"""Of a text of equations."""
MOST_LINES = 100
"""Equations of a text."""
DEEPEST = 64
"""How many operators and functions may stand within one another in a line; a sum of n terms is n - 1 deep."""
LEAVES = (ast.Constant, ast.Name, ast.Attribute)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = re.compile(
    r"([adgv]|mask|lower|given|weight|bias|into|project|new)_.*|e\d*_.*|[kuwt]\d+|.*_(prev|in|rec)"
    r"|ih|hh|hr|h_masked|(un)?projected|(row|norm|scale)\d.*"
)
"""Names that the derivation and the layers make themselves, of values, of gradients and of weights."""
_GENERATED = re.compile(rf"t\d*|({'|'.join(POINTWISE)})_.*")
"""Names of values, which gates and states may have too, but no parameter."""

_COMPARES = "a step is the same for every unit; use maximum or relu"
_REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Compare: ("a comparison", _COMPARES),
    ast.IfExp: ("a condition", _COMPARES),
    ast.BoolOp: ("a condition", _COMPARES),
    ast.If: ("a condition", _COMPARES),
    ast.Subscript: ("an index", "a name stands for all units at once"),
    ast.Tuple: ("a row of values", f"several are written {SEVERAL_RESULTS}"),
    ast.Lambda: ("a lambda", "put the expression itself in its place"),
    ast.FunctionDef: ("a function of your own", "write its expression where it is used, or the cell in Python"),
    ast.Import: ("an import", "all functions of the language are there by their names"),
    ast.ImportFrom: ("an import", "all functions of the language are there by their names"),
    ast.Return: ("a return", "the new states are what their names were last assigned"),
    ast.AugAssign: ("an assignment with an operator", "write it out: h = h + …"),
    ast.AnnAssign: ("a line with a colon", "gates:, state:, source: and bias: stand above all equations"),
    ast.For: ("a loop", "the layer carries the step through time"),
    ast.While: ("a loop", "the layer carries the step through time"),
    ast.Expr: ("a line that assigns nothing", "write a name and = before it"),
}


@dataclass(frozen=True)
class Source:
    """Equations as they were given, for errors that say where."""

    where: str
    lines: tuple[str, ...]
    indent: int = 0
    """Columns that were cut off every line."""

    def error(self, node: ast.expr | ast.stmt, message: str) -> ConfigError:
        """The error at a place; syntax trees count columns in bytes."""
        before = self.lines[node.lineno - 1].encode()[: node.col_offset].decode(errors="ignore")
        return self.at(node.lineno, len(before) + 1, message)

    def at(self, line: int, column: int, message: str) -> ConfigError:
        return ConfigError(f"{self.where}:{line}:{self.indent + column}: {message}")


@dataclass(frozen=True)
class Read:
    """A name on the right: a part of it, as n.input, or it as what a function takes, or it within a longer formula."""

    node: ast.Name
    use: Literal["part", "applied", "plain"]

    @property
    def name(self) -> str:
        return self.node.id


@dataclass(frozen=True)
class Equation:
    """A line `targets = value`."""

    targets: tuple[ast.Name, ...]
    value: ast.expr
    reads: tuple[Read, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(target.id for target in self.targets)

    @property
    def of_itself(self) -> bool:
        """Whether it is `f = function(f)`."""
        match self.targets, self.value:
            case (target,), ast.Call(func=ast.Name(id=function), args=[ast.Name(id=name)]):
                return function in POINTWISE and name == target.id
        return False


def read(source: Source) -> list[Equation]:
    """The equations of a text; raises ConfigError with line and column for anything that is none, or too much."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of Python's own taste: "1if"
            tree = ast.parse("\n".join(source.lines))
    except SyntaxError as error:
        place = error.lineno or 1, error.offset or 1
        raise source.at(
            *place, f"this cannot be read ({error.msg}). A line is an equation, such as h = (1 - f) * h + f * n."
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise source.at(1, 1, "this is no text of equations, or nested too deeply.") from None
    if len(tree.body) > MOST_LINES:
        raise source.error(tree.body[MOST_LINES], f"a line too many: a cell has {MOST_LINES} equations at most.")
    for line in tree.body:
        _check_depth(source, line)
    return list(_Grammar(source).equations(tree))


def _check_depth(source: Source, line: ast.stmt) -> None:
    """Refuse what would be too deep for whoever walks it by calling itself."""
    nodes: list[tuple[ast.AST, int]] = [(line, -1)]
    while nodes:
        node, depth = nodes.pop()
        if depth >= DEEPEST and isinstance(node, ast.expr) and not isinstance(node, LEAVES):
            raise source.error(
                node, f"nested more than {DEEPEST} deep: give parts of this equation names of their own."
            )
        nodes += [(inner, depth + 1) for inner in ast.iter_child_nodes(node)]


def check_name(name: str) -> str | None:
    """What is wrong with the name of a gate, a state or a parameter; None: nothing."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name: use letters of the English alphabet, digits and _, a letter first."
    if name == "x":
        return "x is the raw input: choose another name."
    if name in GIVEN:
        return f"{name} comes with the input ({', '.join(GIVEN)} do): choose another name."
    if name in FUNCTIONS:
        return f"{name} is a function: choose another name."
    if _RESERVED.fullmatch(name):
        return f"{name!r} is a name that the derivation makes itself (h_prev, a_f, d_h, weight_…): choose another."
    return None


@dataclass
class _Grammar:
    source: Source
    parameters: dict[str, tuple[str, object, str]] = field(default_factory=dict)
    """Name → the function that made it, its first value, and its width."""
    reads: list[Read] = field(default_factory=list)

    def wrong(self, node: ast.expr | ast.stmt, message: str) -> ConfigError:
        return self.source.error(node, message)

    def equations(self, tree: ast.Module) -> Iterator[Equation]:
        for line in tree.body:
            match line:
                case ast.Assign(targets=[ast.Name() as target], value=value):
                    targets = [target]
                    self.expression(value)
                case ast.Assign(targets=[ast.Tuple(elts=elements) as row], value=value):
                    targets = [name for name in elements if isinstance(name, ast.Name)]
                    if not isinstance(value, ast.Call) or len(targets) < len(elements):
                        raise self.wrong(row, f"several names at once are written {SEVERAL_RESULTS}.")
                    if (results := self.call(value)) != len(targets):
                        raise self.wrong(row, f"{len(targets)} names for {results} value{'s' * (results > 1)}.")
                case ast.Assign(targets=[_, other, *_]):
                    raise self.wrong(other, "a second = in a line: write one line for each name.")
                case ast.Assign(targets=[other]):
                    raise self.wrong(other, "what stands before = must be a name of its own: h = …")
                case _:
                    raise self.foreign(line)
            for target in targets:
                if target.id in INPUTS or target.id in FUNCTIONS or not _NAME.fullmatch(target.id):
                    raise self.wrong(target, check_name(target.id) or "")
            yield Equation(tuple(targets), value, tuple(self.reads))
            self.reads.clear()

    def foreign(self, node: ast.expr | ast.stmt) -> ConfigError:
        what, instead = _REFUSED.get(
            type(node), (f"this ({type(node).__name__})", "there are names, numbers, + - * / **, and functions")
        )
        return self.wrong(node, f"{what} is not part of the language: {instead}.")

    def expression(self, node: ast.expr, applied: bool = False) -> None:
        """Refuse what is no expression of the language, and note the names it reads."""
        match node:
            case ast.Constant():
                self.number(node)
            case ast.Name(id=name):
                if name in FUNCTIONS:
                    raise self.wrong(node, f"{name} is a function: write what it takes, {name}(…).")
                if not _NAME.fullmatch(name):
                    raise self.wrong(node, check_name(name) or "")
                self.reads.append(Read(node, "applied" if applied else "plain"))
            case ast.Attribute(value=ast.Name() as name, attr=attr):
                if attr not in PARTS:
                    raise self.wrong(
                        node,
                        f"unknown part {name.id}.{attr}{did_you_mean(attr, PARTS)} A gate has .input and .recurrent.",
                    )
                self.reads.append(Read(name, "part"))
            case ast.Attribute():
                raise self.wrong(node, f".{node.attr} stands behind a gate's name only: n.input, n.recurrent.")
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                self.expression(left)
                if not (
                    isinstance(right, ast.Constant) and type(right.value) is int and 1 <= right.value <= HIGHEST_POWER
                ):
                    raise self.wrong(
                        right, f"a power is a whole number from 1 to {HIGHEST_POWER}. For others: 1 / a, exp, log."
                    )
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
                self.expression(left)
                self.expression(right)
            case ast.BinOp() | ast.UnaryOp(op=ast.Not() | ast.Invert()):
                raise self.wrong(node, "this operator is not part of the language: there are + - * / **.")
            case ast.UnaryOp(operand=operand):
                self.expression(operand)
            case ast.Call():
                if (results := self.call(node)) > 1:
                    raise self.wrong(node, f"this gives {results} values; they are written {SEVERAL_RESULTS}.")
            case _:
                raise self.foreign(node)

    def number(self, node: ast.Constant) -> float:
        if type(node.value) not in (int, float):
            what = "text" if isinstance(node.value, str) else repr(node.value)
            raise self.wrong(node, f"{what} is no value: only unit, scalar and project take a name in quotes.")
        try:
            value = float(node.value)  # type: ignore[arg-type]
        except OverflowError:
            value = math.inf
        if math.isinf(value):
            raise self.wrong(node, "this number is too large.")
        return value

    def call(self, node: ast.Call) -> int:
        """Check a call; gives the number of its results."""
        if not isinstance(node.func, ast.Name):
            raise self.wrong(node, "a function is called by its bare name: tanh(…), not torch.tanh(…).")
        name = node.func.id
        if name not in FUNCTIONS:
            raise self.wrong(
                node, f"unknown function {name!r}{did_you_mean(name, FUNCTIONS)} Known: {', '.join(FUNCTIONS)}."
            )
        known = inspect.signature(FUNCTIONS[name]).parameters
        for keyword in node.keywords:
            if keyword.arg not in known:
                near = did_you_mean(keyword.arg or "", known)
                raise self.wrong(
                    keyword.value, f"{name} has no keyword {keyword.arg}{near} It takes {', '.join(known)}."
                )
        try:
            bound = inspect.signature(FUNCTIONS[name]).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        except TypeError as error:
            raise self.wrong(node, f"{name} takes {', '.join(known) or 'nothing'}: {error}.") from None
        given: dict[str, ast.expr] = {k: v for k, v in bound.arguments.items() if k in LITERALS}
        for value in (v for k, v in bound.arguments.items() if k not in LITERALS):
            for inner in value if isinstance(value, tuple) else (value,):
                self.expression(inner, applied=name in POINTWISE)
        if name in ("unit", "scalar", "project"):
            self.parameter(node, name, given)
        if name == "lower" and not isinstance(getattr(given["state"], "value", None), str):
            raise self.wrong(given["state"], 'the state of the layer below stands in quotes: lower("c").')
        if name == "layer_norm" and not node.args:
            raise self.wrong(node, "layer_norm takes one value or more.")
        return len(node.args) if name == "layer_norm" else self.parts(given.get("parts"))

    def parts(self, node: ast.expr | None) -> int:
        match node:
            case None:
                return 1
            case ast.Constant(value=int(count)) if 1 <= count <= MOST_PARTS and not isinstance(count, bool):
                return count
        raise self.wrong(node, f"parts is a whole number from 1 to {MOST_PARTS}.")

    def parameter(self, node: ast.Call, function: str, given: Mapping[str, ast.expr]) -> None:
        """Check what is said of a parameter: the same name twice is one vector or number, but never one product."""
        label = "project"
        match given.get("name"):
            case None:
                pass
            case ast.Constant(value=str(label)) as name:
                if (wrong := check_name(label)) and (function, label) != ("project", "project"):
                    raise self.wrong(name, wrong)
            case other:
                raise self.wrong(other, f'the name of a {function} stands in quotes: "{ast.unparse(other)}".')
        match given.get("width"):
            case None | ast.Constant(value="units" | "input"):
                pass
            case other:
                raise self.wrong(other, 'a width is "units" or "input".')
        width = str(getattr(given.get("width"), "value", "units"))
        made = function, None if "start" not in given else self.first_value(given["start"]), width
        if function == "project" and label in self.parameters:
            raise self.wrong(
                node, f'a second parameter {label!r}: give each product a name of its own, project(…, "second").'
            )
        if _GENERATED.fullmatch(label):
            raise self.wrong(node, f"{label!r} is a name that the derivation gives to values itself: choose another.")
        if self.parameters.setdefault(label, made) != made:
            kind, _, former = self.parameters[label]
            what = "first value" if former == width else "width"
            raise self.wrong(node, f"{label!r} is already a {kind} with another {what}.")

    def first_value(self, node: ast.expr) -> float | Drawn:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in DISTRIBUTIONS:
                try:
                    drawn = read_start(ast.unparse(node))
                except ConfigError as error:
                    raise self.wrong(node, str(error)) from None
                assert isinstance(drawn, Drawn)
                return drawn
            case ast.Constant():
                return self.number(node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as number):
                return -self.number(number)
        raise self.wrong(
            node, "a first value is a plain number, such as 1.0, or a distribution, such as normal(0, 0.01)."
        )
