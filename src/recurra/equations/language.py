"""The language of cells: the equations of one time step, written on symbols.

A cell is a Python function from symbols to symbols::

    @cell(gates="i f g o", state="h c", source="Hochreiter & Schmidhuber 1997")
    def lstm(i, f, g, o, h, c):
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return h, c

Its arguments are the gates and the states of the step before, its results the new states in the order of `state`.
The first state is the output, and what the recurrent product multiplies.

A bare gate is its pre-activation, `gate.input + gate.recurrent`: the product with x (and its bias) plus the product
with the previous h (and its bias). A part that is never mentioned has no weights; a cell that mentions no recurrent
part has no recurrent product.

A cell over trees names its children: by position, `children="left right"`, and its arguments are the gates and the
states of each, `h_left, c_left, h_right, c_right`; or all alike, `children="each"`, and its states are those of any one
child, which `total(v)` sums over all of them. See recurra.equations.children.

Two operations are not pointwise, the *seams*: `project(v)`, a product inside the step, and `layer_norm(v, …)`.

Values have H units, but for x, `seen`, `since`, units of width="input" and what is made of these alone, which are as
wide as the input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any

from recurra.equations.children import EACH, check_children, child_symbols, inside_totals
from recurra.equations.expression import (
    GIVEN,
    Expression,
    Gate,
    dt,
    exp,
    hard_sigmoid,
    hard_tanh,
    layer_norm,
    log,
    lower,
    mask,
    maximum,
    project,
    raw_input,
    relu,
    scalar,
    seen,
    sigmoid,
    since,
    softplus,
    tanh,
    total,
    unit,
    walk,
    with_numbers,
    wrap,
)
from recurra.equations.starts import Starts
from recurra.errors import ConfigError
from recurra.registry import find

__all__ = [
    "Cell",
    "Expression",
    "Gate",
    "cell",
    "dt",
    "exp",
    "hard_sigmoid",
    "hard_tanh",
    "layer_norm",
    "log",
    "lower",
    "mask",
    "maximum",
    "project",
    "raw_input",
    "relu",
    "scalar",
    "seen",
    "sigmoid",
    "since",
    "softplus",
    "tanh",
    "total",
    "unit",
]

MOST_NODES = 400
"""Operators, functions and symbols of a cell's equations, each counted once."""


def _fixed(nodes: Iterable[Expression]) -> tuple[Expression, Expression] | None:
    """A product or a norm, and its argument that is the same at every step, made of numbers and parameters alone."""
    same: set[int] = set()
    for node in nodes:
        if node.op in ("project", "norm_row"):
            for argument in node.args:
                if id(argument) in same:
                    return node, argument
        elif node.op in ("number", "unit", "scalar") or (node.args and all(id(a) in same for a in node.args)):
            same.add(id(node))
    return None


@dataclass(frozen=True, eq=False)
class Cell:
    """A recurrent cell: names and equations, nothing of time, batches or tensors. Made by the decorator `cell`."""

    name: str
    gates: tuple[str, ...]
    state: tuple[str, ...]
    equations: Callable[..., Any]
    source: str
    bias: bool = True
    """Whether the products add biases; a cell that normalises them writes its own shift."""
    start: Starts = field(default_factory=dict)
    """What weights start from, whole or gate by gate; weights and gates not named are uniform in ±1/√H."""

    letters: Mapping[str, str] = field(default_factory=dict)
    """What gates and states are called, {"f": "forget gate"}; of those left out the equation speaks."""

    remade: tuple[Callable[..., Any], tuple[str, ...]] | None = None
    """The call that makes it again from a pickle; None: it is found by its registered name."""

    children: tuple[str, ...] = ()
    """Of a cell over trees what its children are called, ("left", "right"), or ("each",) where all are alike."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Cell:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        """A cell is pickled as its registered name, one read from text as that text."""
        return self.remade or (find, ("tree-cell" if self.children else "cell", self.name))

    @cached_property
    def symbols(self) -> dict[str, Expression]:
        gates: dict[str, Expression] = {g: Gate(g) for g in self.gates}
        if self.children:
            return gates | {s: Expression("child", label=s) for s in child_symbols(self.state, self.children)}
        return gates | {s: Expression("state", label=s) for s in self.state}

    @cached_property
    def results(self) -> tuple[Expression, ...]:
        """The new states as expressions, in the order of `state`."""
        results = self.equations(**self.symbols)
        results = results if isinstance(results, tuple) else (results,)
        if len(results) != len(self.state):
            raise ConfigError(f"cell {self.name!r} has {len(self.state)} states but returns {len(results)} values.")
        return tuple(map(wrap, results))

    @cached_property
    def nodes(self) -> tuple[Expression, ...]:
        nodes = tuple(walk(*self.results))
        if len(nodes) > MOST_NODES:
            raise ConfigError(
                f"cell {self.name!r} has {len(nodes):,} operators, functions and symbols, expected {MOST_NODES:,} "
                "at most: write fewer equations."
            )
        known = {id(s) for s in self.symbols.values()}
        known |= {id(p) for s in self.symbols.values() if isinstance(s, Gate) for p in (s.input, s.recurrent)}
        for node in nodes:
            if node.op in ("gate", "gate_input", "gate_recurrent", "state", "child") and id(node) not in known:
                raise ConfigError(f"cell {self.name!r} mentions {node!r}, which is none of its own symbols.")
        if (found := _fixed(nodes)) is not None:
            raise ConfigError(
                f"cell {self.name!r}: {'project' if found[0].op == 'project' else 'layer_norm'} takes values of the "
                f"step, here is {found[1].label or 'a formula'}, which is the same at every step. Make a parameter of "
                "the result: unit(…)."
            )
        check_children(self.name, self.children, nodes, self.results)
        self._check_units(nodes)
        products = ["ih", "hh", "hr", *(n.label for n in nodes if n.op == "project")]
        for name in products:
            if products.count(name) > 1:
                raise ConfigError(
                    f"cell {self.name!r} has two products called {name!r} (ih, hh and hr are the layer's own): "
                    "give each project(v, name) a name of its own."
                )
        return nodes

    def _check_units(self, nodes: Iterable[Expression]) -> None:
        wide: dict[str, bool] = {}
        for node in nodes:
            if node.op in ("unit", "scalar") and wide.setdefault(node.label, node.wide) != node.wide:
                raise ConfigError(
                    f"cell {self.name!r}: {node.label!r} is one vector of two widths, units and input. Give each a "
                    "name of its own."
                )

    @cached_property
    def _widths(self) -> tuple[frozenset[int], bool]:
        """The nodes as wide as x, by id, and whether one of them meets a value of H units, unit by unit."""
        narrow: set[int] = set()
        wide: set[int] = set()
        tied = False
        for node in self.nodes:
            if node.op in ("number", "scalar"):
                narrow.add(id(node))
            elif not node.args or node.op == "project":
                wide.update([id(node)] if node.wide or node.op == "x" else [])
            elif node.args:
                kinds = {id(a) in wide for a in node.args if id(a) not in narrow}
                narrow.update([] if kinds else [id(node)])
                wide.update([id(node)] if True in kinds else [])
                tied |= len(kinds) == 2
        return frozenset(wide), tied or any(id(r) in wide for r in self.results)

    @property
    def ties_input(self) -> bool:
        """Whether x is read unit by unit beside values of H units, so that input and hidden size must agree."""
        return self._widths[1]

    def _gates_with(self, part: str) -> tuple[str, ...]:
        used = {n.label for n in self.nodes if n.op in ("gate", part)}
        return tuple(g for g in self.gates if g in used)

    @property
    def input_gates(self) -> tuple[str, ...]:
        """Gates with an input part, in order: the row blocks of `weight_ih`."""
        return self._gates_with("gate_input")

    @property
    def recurrent_gates(self) -> tuple[str, ...]:
        """Gates with a recurrent part, in order: the row blocks of `weight_hh`."""
        return self._gates_with("gate_recurrent")

    @cached_property
    def child_gates(self) -> tuple[str, ...]:
        """Of a cell over trees: gates that every child has one of, as they stand inside `total`, in order."""
        inside = {n.label for n in inside_totals(self.results) if n.op == "gate"}
        return tuple(g for g in self.gates if g in inside)

    @property
    def node_gates(self) -> tuple[str, ...]:
        """Of a cell over trees: the other gates it mentions, in order."""
        return tuple(g for g in self.input_gates if g not in self.child_gates)

    @property
    def child_weights(self) -> dict[str, int]:
        """Of a cell over trees: the matrices that children's h is multiplied by, and of how many gates each holds rows:
        one a place, or of the sum of all children and of each."""
        if self.children != EACH:
            return {f"weight_{child}": len(self.input_gates) for child in self.children}
        counts = {"weight_sum": len(self.node_gates), "weight_each": len(self.child_gates)}
        return {name: count for name, count in counts.items() if count}

    @cached_property
    def leaf(self) -> Cell:
        """A cell over trees at a node without children: their states are 0, and what is multiplied by them is gone."""
        return self._with("leaf", lambda node: 0 if node.op == "child" else None)

    @cached_property
    def unmasked(self) -> Cell:
        """The cell with every mask at 1, as it is outside training."""
        masked = any(n.op == "mask" for n in self.nodes)
        return self._with("unmasked", lambda node: 1 if node.op == "mask" else None) if masked else self

    @property
    def parameters(self) -> dict[str, Expression]:
        """Unit and scalar parameters by name, in order of first mention."""
        return {n.label: n for n in self.nodes if n.op in ("unit", "scalar")}

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the matrices, and of the biases of those that have one."""
        if self.children:
            return ("weight_ih", "bias_ih", *self.child_weights)
        own = [n for n, gates in (("ih", self.input_gates), ("hh", self.recurrent_gates)) if gates]
        biases = [f"bias_{n}" for n in own if self.bias]
        return (*(f"weight_{n}" for n in own), *biases, *(f"weight_{n}" for n in self.products))

    @property
    def products(self) -> dict[str, Expression]:
        """The products of `project` by name, in order of first mention."""
        return {n.label: n for n in self.nodes if n.op == "project"}

    def product_shape(self, name: str, units: int, inputs: int) -> tuple[int, int]:
        """Rows and columns of a product's matrix, for H units and I inputs."""
        node = self.products[name]
        rows = inputs if node.wide else units
        return node.parts * rows, inputs if id(node.args[0]) in self._widths[0] else units

    def parameter_shape(self, name: str, units: int, inputs: int) -> tuple[int]:
        """Of a unit or scalar parameter, for H units and I inputs."""
        node = self.parameters[name]
        return (1 if node.op == "scalar" else inputs if node.wide else units,)

    @property
    def mixes_widths(self) -> bool:
        """Whether the equations hold values of x's width beside those of H units, in products of their own."""
        return not self.ties_input and any(id(n) in self._widths[0] for n in self.nodes)

    @property
    def reads_input(self) -> bool:
        """Whether they read values of x's width themselves, and not its product with `weight_ih` alone."""
        return bool(self._widths[0])

    @cached_property
    def given(self) -> tuple[str, ...]:
        """What the equations read of `GIVEN`, what comes beside x with every step."""
        read = {n.label for n in self.nodes if n.op == "given"}
        return tuple(name for name in GIVEN if name in read)

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """What layers of it are given: what the equations read, and dt where they read since, which above the lowest
        layer is dt."""
        return tuple(n for n in GIVEN if n in self.given or (n == "dt" and "since" in self.given))

    @property
    def reads_below(self) -> tuple[str, ...]:
        """States of the layer below that the equations read."""
        return tuple(dict.fromkeys(n.label for n in self.nodes if n.op == "lower"))

    @cached_property
    def lowest(self) -> Cell:
        """The cell with nothing below it: `lower(…)` is 0, and what is multiplied by it is gone with its weights."""
        return self._with("lowest layer", lambda node: 0 if node.op == "lower" else None) if self.reads_below else self

    @cached_property
    def upper(self) -> Cell:
        """The cell above another layer, whose results are always there: `seen` is 1, and what is multiplied by 1 -
        seen is gone with its weights. Where a product of seen itself is left, the cell is as it was."""
        if "seen" not in self.given:
            return self
        found = self._with("upper layer", lambda node: 1 if node is GIVEN["seen"] else None)
        return found if _fixed(walk(*found.results)) is None else self

    @cached_property
    def regular(self) -> Cell:
        """The cell of series in which every step is a usual one and nothing is missing: dt = seen = since = 1, and
        what comes to nothing by that is gone with its weights."""
        return self._with("regular", lambda node: 1 if node.op == "given" else None) if self.given else self

    def _with(self, word: str, number: Callable[[Expression], float | None]) -> Cell:
        """The cell with numbers for some symbols; `word` says in its name which."""

        @wraps(self.equations)
        def equations(**symbols: Expression) -> tuple[Expression, ...]:
            results = self.equations(**symbols)
            return with_numbers(tuple(map(wrap, results if isinstance(results, tuple) else (results,))), number)

        return replace(self, name=f"{self.name}, {word}", equations=equations)

    @property
    def has_recurrent_product(self) -> bool:
        return bool(self.recurrent_gates)


def cell(
    *,
    gates: str,
    state: str,
    source: str,
    name: str | None = None,
    bias: bool = True,
    start: Starts | None = None,
    letters: Mapping[str, str] | None = None,
    children: str = "",
) -> Callable[[Callable[..., Any]], Cell]:
    """Decorator: a function of symbols becomes a `Cell`. `gates`, `state` and `children` are names separated by spaces;
    `start` as recurra.equations.starts has it, `letters` what they are called."""

    def make(equations: Callable[..., Any]) -> Cell:
        states = tuple(state.split())
        words = (*gates.split(), *(child_symbols(states, tuple(children.split())) if children else states))
        taken = tuple(inspect.signature(equations).parameters)
        if set(taken) != set(words):
            raise ConfigError(f"{equations.__name__} takes {taken}, but its gates and states are {words}.")
        if len(set(words)) != len(words) or {"x", *GIVEN}.intersection(words):
            raise ConfigError(
                f"{equations.__name__}: gates and states need names of their own, none of them x, {', '.join(GIVEN)}: "
                f"{words}."
            )
        label = name or equations.__name__.replace("_", "-")
        return Cell(
            label,
            tuple(gates.split()),
            tuple(state.split()),
            equations,
            source,
            bias,
            dict(start or {}),
            dict(letters or {}),
            children=tuple(children.split()),
        )

    return make
