"""The language of cells as plain text, without Python: the equations of a step, one a line, read and never executed.

::

    f = sigmoid(f)
    n = tanh(n.input + project(f * h))
    h = (1 - f) * h + f * n

What a name is:

- The *state* is the name that the last line assigns; it is the output h. Read before it is assigned it is the value of
  the step before. A cell that remembers more says so in a line above the equations, the output first: `state: h c`.
- A *gate* is read before any line assigns it, and shows that it is one: a part of it is named (`n.input`,
  `n.recurrent`), a function takes it bare and no line assigns it (`tanh(n)`), or the one line that assigns it is
  `f = sigmoid(f)`, with any function. Other gates are named above the equations, `gates: i f g o`, which also fixes
  their order; otherwise it is the order of mention.
- With a line `state:`, any other name that is assigned, but read before, is a gate. With a line `gates:` alone it is a
  state, behind the output.
- Every other name is a value of this step, assigned before it is read.

What could be either is refused, with the line to add. Three more may stand above the equations: `source: …`;
`bias: no` for products without biases; and what weights start from, whole or gate by gate, as recurra.equations.starts
reads it: `start: weight_hh = identity; bias_ih.f = log_uniform(1, 783); bias_hh = 0`. A comment before everything else
is the cell's sentence.

There are numbers, + - * /, whole powers, `x` (the layer's input itself), `dt`, `seen` and `since` (what comes beside
it: recurra.equations.expression.GIVEN), the functions of `language`, `unit("name", start)`, `scalar("name", start)`,
`lower("state")`, `project(v, "name")`, and several values at once by
`p, q = layer_norm(a, b)` and `p, q = project(v, "name", parts=2)`.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from recurra import registry
from recurra.equations.expression import GIVEN
from recurra.equations.grammar import (
    FUNCTIONS,
    INPUTS,
    MOST_CHARACTERS,
    POINTWISE,
    Equation,
    Read,
    Source,
    check_name,
    read,
)
from recurra.equations.language import Cell, Expression, Gate, raw_input
from recurra.equations.starts import DISTRIBUTIONS, Starts, read_starts
from recurra.errors import ConfigError, did_you_mean

SETTINGS = ("gates", "state", "source", "bias", "start")
"""What may stand above the equations, each on a line `name: value`."""
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse(text: str, name: str = "equations", where: str = "core.equations") -> Cell:
    """The cell that a text of equations says; the same one for the same text.

    `name` is the cell's, `where` stands before line and column in errors: ConfigError for anything that is no equation
    or not of the language, for names that are unknown or could be gate or state, and for a cell without input.
    """
    if name in registry.names("cell"):
        raise ConfigError(f"{name!r} is a registered cell's name: give these equations another.")
    return _parse(text, name, where)


@lru_cache(maxsize=256)
def _parse(text: str, name: str, where: str) -> Cell:
    reader = _Reader(*_split(text, where))
    cell = Cell(
        name,
        gates=reader.gates,
        state=reader.state,
        equations=reader.step(),
        source=reader.setting("source") or where,
        bias=reader.bias(),
        start=reader.start(),
        remade=(parse, (text, name, where)),
    )
    if not cell.input_gates and not any(node.op == "x" for node in cell.nodes):
        raise ConfigError(
            f"{where}: nothing here reads the input. Name a gate, as in h = tanh(s), or x, the input itself."
        )
    if not cell.recurrent_gates and not any(node.op == "state" for node in cell.nodes):
        raise ConfigError(
            f"{where}: nothing here reads the step before. A gate does, as in h = tanh(s), and a state that is read "
            "before it is assigned."
        )
    return cell


@dataclass(frozen=True)
class _Setting:
    """A line above the equations: what stands behind its colon, and the line's number."""

    value: str
    line: int


def _split(text: str, where: str) -> tuple[Source, dict[str, _Setting], str]:
    """A text as its equations, the settings above them (blank lines stand in their place), and its first comment."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{where}: {len(text):,} characters of equations, expected {MOST_CHARACTERS:,} at most.")
    lines = text.expandtabs().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    lines = [line[indent:] for line in lines]
    source = Source(where, tuple(lines), indent)
    settings: dict[str, _Setting] = {}
    sentence = ""
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            sentence = sentence or ("" if settings else line.lstrip("# ").rstrip())
        elif match := re.match(r"(\w+)\s*:([^#]*)", line):
            key, value = match[1], match[2].strip()
            if key not in SETTINGS:
                raise source.at(
                    number,
                    1,
                    f"unknown line {key}:{did_you_mean(key, SETTINGS)} Above equations stand {', '.join(SETTINGS)}.",
                )
            if key in settings or not value:
                raise source.at(number, 1, f"a second line {key}:" if key in settings else f"{key}: says nothing.")
            settings[key], lines[number - 1] = _Setting(value, number), ""
        elif line.strip():
            break
    return Source(where, tuple(lines), indent), settings, sentence


class _Reader:
    """A text's equations, and which of their names are states and gates."""

    def __init__(self, source: Source, settings: Mapping[str, _Setting], sentence: str) -> None:
        self.source, self.settings, self.sentence = source, settings, sentence
        self.lines = read(source)
        if not self.lines:
            raise ConfigError(f"{source.where}: there are no equations. The shortest are: h = tanh(s)")
        self.assigned: dict[str, Equation] = {}
        """Name → the line that assigns it first."""
        self.begin: dict[str, list[Read]] = {}
        """Name → where it is read before a line has assigned it."""
        for line in self.lines:
            for one in line.reads:
                if one.name not in INPUTS and one.name not in self.assigned:
                    self.begin.setdefault(one.name, []).append(one)
            for name in line.names:
                self.assigned.setdefault(name, line)
        self.state = self._state()
        self.gates = self._gates()
        self._nothing_unread()

    def setting(self, key: str) -> str:
        return self.settings[key].value if key in self.settings else ""

    def bias(self) -> bool:
        if self.setting("bias") not in ("", "yes", "no"):
            raise self.source.at(self.settings["bias"].line, 1, f"bias: {self.setting('bias')}, expected yes or no.")
        return self.setting("bias") != "no"

    def start(self) -> Starts:
        try:
            return read_starts(self.setting("start"))
        except ConfigError as error:
            raise self.source.at(self.settings["start"].line, 1, f"start: {error}") from None

    def names(self, key: str) -> tuple[str, ...]:
        """The names of a line above the equations."""
        names = tuple(self.setting(key).replace(",", " ").split())
        for k, name in enumerate(names):
            wrong = check_name(name) or (f"{name!r} stands there twice." if name in names[:k] else None)
            if wrong:
                raise self.source.at(self.settings[key].line, 1, f"{key}: {wrong}")
        return names

    def _state(self) -> tuple[str, ...]:
        """The states, the output first."""
        gates, last = self.names("gates"), self.lines[-1]
        if "state" in self.settings:
            states = self.names("state")
            for name in states:
                where = self.settings["state"].line, 1
                if name in gates:
                    raise self.source.at(*where, f"{name!r} is in gates: and in state:. Take it out of one.")
                if name not in self.assigned:
                    near = did_you_mean(name, self.assigned)
                    raise self.source.at(*where, f"no line assigns the state {name!r}{near} Write: {name} = …")
            return states
        output, *others = last.targets
        wrong = "the last line assigns several names" if others else None
        if output.id in gates:
            wrong = f"the last line assigns the gate {output.id!r}"
        if wrong or (wrong := check_name(output.id)):
            raise self.source.error(output, f"{wrong.rstrip('.')}. Which name is the output? Add the line: state: …")
        kept = [n for n in self.assigned if n in self.begin and n not in gates and n != output.id] if gates else []
        return (output.id, *kept)

    def _gates(self) -> tuple[str, ...]:
        """The gates, in the order of the line that names them, else of mention."""
        named = self.names("gates")
        for name in named:
            if name not in self.begin:
                near = did_you_mean(name, self.begin)
                raise self.source.at(self.settings["gates"].line, 1, f"no equation reads the gate {name!r}{near}")
        gates = named or tuple(n for n in self.begin if n not in self.state and self._is_gate(n))
        for name, (first, *_) in self.begin.items():
            if name in gates:
                if wrong := check_name(name):
                    raise self.source.error(first.node, wrong)
            elif name not in self.state:
                raise self.source.error(first.node, self._what_to_add(name, gates))
        return gates

    def _is_gate(self, name: str) -> bool:
        """Whether a name shows that it is a gate, or a line `state:` leaves it nothing else to be."""
        if any(one.use == "part" for one in self.begin[name]):
            return True
        if name not in self.assigned:
            return any(one.use == "applied" for one in self.begin[name])
        first = self.assigned[name]
        once = all(name not in line.names for line in self.lines if line is not first)
        return "state" in self.settings or (first.of_itself and once and len(self.begin[name]) == 1)

    def _what_to_add(self, name: str, gates: tuple[str, ...]) -> str:
        """The sentence on a name that is neither gate nor state, nor assigned before it is read."""
        if name not in self.assigned:
            known = (*gates, *self.state, *(n for n in self.assigned if n not in (*gates, *self.state)))
            return (
                f"unknown name {name!r}{did_you_mean(name, known)} Known: {', '.join(known)}. If it is a gate, say so "
                f"above the equations: gates: {' '.join((*gates, name))}"
            )
        if "state" in self.settings:
            return f"{name!r} is read before a line assigns it, but is neither in gates: nor in state:. Add it to one."
        states = " ".join(self.state)
        return (
            f"{name!r} could be a gate or a state. Say above the equations: state: {states} {name} (where it is kept "
            f"for the next step) or state: {states} (where it is a gate)."
        )

    def _nothing_unread(self) -> None:
        """Refuse a name whose last value nothing reads: it is misspelt, or a state that was not called one."""
        unread: dict[str, ast.Name] = {}
        for line in self.lines:
            for one in line.reads:
                unread.pop(one.name, None)
            unread |= {target.id: target for target in line.targets}
        for name, target in unread.items():
            if name not in self.state:
                states = " ".join((*self.state, name))
                raise self.source.error(
                    target,
                    f"nothing reads {name!r} after this line. If it is kept for the next step, say so above the "
                    f"equations: state: {states}",
                )

    def step(self) -> Callable[..., tuple[Any, ...]]:
        """The equations as a cell's function, from symbols to the new states."""

        def equations(**symbols: Expression) -> tuple[Any, ...]:
            values: dict[str, Any] = {"x": raw_input(), **GIVEN, **symbols}
            for line in self.lines:
                made = self.value(line.value, values)
                values.update(zip(line.names, made if len(line.names) > 1 else (made,), strict=True))
            return tuple(values[name] for name in self.state)

        equations.__doc__ = self.sentence
        return equations

    def value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        """What an expression stands for: a symbol, or a number as long as only numbers are in it."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return values[node.id]
            case ast.Attribute(value=ast.Name() as name):
                if not isinstance(gate := values[name.id], Gate):
                    raise self.source.error(
                        node, f"{name.id!r} is no gate here. Parts has only a gate, and before a line assigns its name."
                    )
                return getattr(gate, node.attr)
            case ast.UnaryOp(operand=operand):
                inner = self.value(operand, values)
                return -inner if isinstance(node.op, ast.USub) else inner
            case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int(power))):
                base = _inexact(self.value(node.left, values))
                return self.number(node, lambda: reduce(operator.mul, [base] * power))
            case ast.BinOp():
                left, right = self.value(node.left, values), self.value(node.right, values)
                if isinstance(node.op, ast.Div) and not isinstance(right, Expression) and right == 0:
                    raise self.source.error(node.right, "a division by zero.")
                return self.number(node, lambda: OPERATORS[type(node.op)](_inexact(left), _inexact(right)))
            case ast.Call(func=ast.Name(id=function)):
                return self.call(node, function, values)
        raise AssertionError(ast.dump(node))

    def number(self, node: ast.expr, make: Callable[[], Any]) -> Any:
        try:
            made = make()
        except OverflowError:
            made = math.inf
        if isinstance(made, float) and not math.isfinite(made):
            raise self.source.error(node, "this number is too large.")
        return made

    def call(self, node: ast.Call, function: str, values: Mapping[str, Any]) -> Any:
        taken = [self.value(argument, values) for argument in node.args]
        named = {str(keyword.arg): self.value(keyword.value, values) for keyword in node.keywords}
        if function in DISTRIBUTIONS:
            return DISTRIBUTIONS[function](*taken)
        label = next((word for word in (*taken, *named.values()) if isinstance(word, str)), None)
        if function == "lower" and label not in self.state:
            states = f"{did_you_mean(str(label), self.state)} States: {', '.join(self.state)}."
            raise self.source.error(node, f"{label!r} is no state of the layer below{states}")
        if function != "lower" and label in (*self.gates, *self.state):
            raise self.source.error(node, f"{label!r} is a gate or a state: give the parameter another name.")
        if function in (*POINTWISE, "layer_norm", "project") and any(
            isinstance(value, (int, float)) for value in taken
        ):
            hint = "k + relu(a - k) is maximum(a, k)." if function == "maximum" else "Write its result."
            raise self.source.error(node, f"{function} takes values of the step, here is a number. {hint}")
        return FUNCTIONS[function](*taken, **named)


def _inexact(value: Any) -> Any:
    """A number as a float: exact ones of many steps would have more digits than there is memory."""
    return float(value) if isinstance(value, int) else value
