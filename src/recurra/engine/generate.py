"""A program written out as two Python functions in torch, `forward` and `backward`, for a stretch of packed rows.

Where values live. A value needed for all time steps at once, or by the other function, is a *whole* array with one row
per packed row, often a column of a slab that one product fills or reads; inside the loop it is the step's view of it.
Everything else is a temporary of its step. In the source `W_v` is the whole array of value v and `s_v` the step's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional as F

from recurra.engine.emit import IN_PLACE, Lines
from recurra.engine.layer import NORM_EPSILON
from recurra.engine.program import Phase, Program, program
from recurra.equations.derive import (
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Statement,
    Variant,
    names_in,
    names_out,
)
from recurra.equations.language import Cell


@dataclass(frozen=True)
class Generated:
    """The two functions of a program and their source."""

    program: Program
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    source: str


@lru_cache(maxsize=256)
def generate(cell: Cell, variant: Variant) -> Generated:
    made = program(cell, variant)
    source = "\n".join((*_Forward(made).write(), "", "", *_Backward(made).write(), ""))
    space: dict[str, Any] = {"torch": torch, "F": F, "norm": _norm, "norm_transposed": _norm_transposed}
    exec(compile(source, f"<recurra engine for {cell.name}>", "exec"), space)
    return Generated(made, space["forward"], space["backward"], source)


def _norm(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row at mean 0 and variance 1, and 1/σ [n, 1]."""
    out, _, scale = torch.native_layer_norm(row, row.shape[-1:], None, None, NORM_EPSILON)
    return out, scale


def _norm_transposed(gradient: torch.Tensor, result: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """∂L/∂row from ∂L/∂result."""
    mean = gradient.mean(-1, keepdim=True)
    along = (gradient * result).mean(-1, keepdim=True)
    return (gradient - mean).addcmul_(result, along, value=-1).mul_(scale)


def _reads(statements: Iterable[Statement]) -> set[str]:
    return {name for st in statements for name in names_in(st)}


@dataclass
class _Writer:
    """What both functions share: the phases, and which values are whole."""

    program: Program
    head: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.derivation = self.program.derivation
        self.cell, self.variant = self.derivation.cell, self.derivation.variant
        self.narrow = frozenset(self.cell.parameters)
        self.homes: dict[str, str] = {}
        """Whole value → Python expression of its array."""
        self.whole = Lines(self.spell_whole, self.narrow, 1)
        self.inner = Lines(self.spell_step, self.narrow, 2)
        self.viewed: dict[str, str] = {}
        """Loop variable → expression of the whole array it is a view of."""

    def spell_whole(self, name: str) -> str:
        if name in self.narrow:
            return f"w[{name!r}]"
        if name.startswith("mask_"):
            return f"masks[{name!r}]"
        return self.homes.get(name, f"W_{name}")

    def spell_step(self, name: str) -> str:
        if name in self.narrow:
            return f"w[{name!r}]"
        if name.startswith("mask_") or name in self.homes:
            self.viewed.setdefault(f"s_{name}", self.spell_whole(name))
        return f"s_{name}"

    def width(self, name: str) -> str:
        """H for all but what a projection makes."""
        projected = ("h", "h_prev", "projected", "d_projected", "d_h", "g_h", "d_h_prev", "h_masked")
        return "P" if self.variant.projected and name in projected else "H"

    def view(self, variable: str, array: str) -> str:
        self.viewed[variable] = array
        return variable

    def loop(self, backwards: bool, extra: Iterable[str] = ()) -> list[str]:
        """The loop's head: the step's views of every whole array that the body mentions."""
        pairs = [("b", "sizes"), *((v, f"{a}.split(sizes)") for v, a in self.viewed.items()), *extra]
        names = ", ".join(("t", *(v for v, _ in pairs)))
        lists = [f"reversed({a})" for _, a in pairs] if backwards else [a for _, a in pairs]
        steps = "range(len(sizes) - 1, -1, -1)" if backwards else "range(len(sizes))"
        return [f"    for {names} in zip({steps}, {', '.join(lists)}, strict=True):"]


class _Forward(_Writer):
    """Writes `forward(x, sizes, states, w, masks, low) → (histories, kept)`."""

    def write(self) -> list[str]:
        cell, phase = self.cell, self.program.forward
        self.kept = set(self.derivation.kept)
        self.later = _reads(phase.step)
        self.homes["x"] = "x"
        begin = [
            "def forward(x, sizes, states, w, masks, low):",
            "    n, b0 = x.shape[0], sizes[0]",
            "    H, P = w.units, states[0].shape[1]",
        ]
        for state in cell.state:
            begin += [
                f"    hist_{state} = x.new_empty(b0 + n, {self.width(state)}, dtype=states[0].dtype)",
                f"    hist_{state}[:b0] = states[{cell.state.index(state)}]",
                f"    parts_{state} = hist_{state}.split((b0, *sizes))",
            ]
        for st in phase.before:
            self.before(st)
        self.body(phase)
        extra = [(f"s_{s}", f"parts_{s}[1:]") for s in cell.state]
        extra += [
            (f"s_{s}_prev", f"[p[:b] for p, b in zip(parts_{s}, sizes, strict=False)]")
            for s in cell.state
            if f"{s}_prev" in self.later
        ]
        kept = ", ".join(f"{k!r}: {self.homes[k]}" for k in self.derivation.kept)
        hist = ", ".join(f"hist_{s}" for s in cell.state)
        lines = [*begin, *self.whole.lines, *self.loop(False, extra), *self.inner.lines]
        return [*lines, f"    return ({hist},), {{{kept}}}"]

    def before(self, st: Statement) -> None:
        """A statement for all time steps at once."""
        emit = self.whole
        match st:
            case Product(outs, weight, argument):
                more = ", also='hh'" if weight == "ih" and self.all_sums() else ""
                emit(f"A_{weight} = w.product({weight!r}, {self.spell_whole(argument)}, low{more})")
                self.columns(outs, f"A_{weight}", "H")
            case Norm(outs, arguments, scale):
                row = ", ".join(map(self.spell_whole, arguments))
                emit(f"A_{outs[0]}, W_{scale} = norm(torch.cat(({row},), 1))")
                self.columns(outs, f"A_{outs[0]}", "H")
                self.homes[scale] = f"W_{scale}"
            case Pointwise(name, value):
                emit.assign(f"W_{name}", value)
                self.homes[name] = f"W_{name}"

    def columns(self, names: tuple[str, ...], slab: str, width: str) -> None:
        for k, name in enumerate(names):
            self.homes[name] = f"{slab}[:, {k} * {width}:{k + 1} * {width}]" if len(names) > 1 else slab
            self.places[name] = (slab, k, len(names))

    places: dict[str, tuple[str, int, int]]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.places = {}

    def body(self, phase: Phase) -> None:
        todo = list(phase.step)
        gates = self.cell.recurrent_gates
        sums = [f"a_{g}" for g in gates] if self.all_sums() else []
        while todo:
            st = todo.pop(0)
            rest = _reads(todo)
            match st:
                case Product(outs, "hh", argument) if sums:
                    slab = self.view("A_all", "A_ih")
                    self.inner(f"w.accumulate('hh', {self.spell_step(argument)}, {slab}, low)")
                    for gate in gates:
                        self.places[f"a_{gate}"] = self.places[f"a_{gate}_in"]
                        self.homes[f"a_{gate}"] = self.homes[f"a_{gate}_in"]
                    todo = [s for s in todo if not (isinstance(s, Pointwise) and s.name in sums)]
                    todo = self.activate(todo)
                case Product(outs, weight, argument):
                    self.product(outs, weight, argument)
                    if weight == "hh":
                        todo = self.activate(self.add_sums(todo))
                case Norm(outs, arguments, scale):
                    self.normalise(outs, arguments, scale)
                case Pointwise(name, value):
                    self.pointwise(name, value, rest)

    def all_sums(self) -> bool:
        """Whether the recurrent product can be accumulated into the input product as a whole."""
        return bool(self.cell.gates) and self.cell.recurrent_gates == self.cell.input_gates == self.derivation.sum_gates

    def product(self, outs: tuple[str, ...], weight: str, argument: str) -> None:
        call = f"w.product({weight!r}, {self.spell_step(argument)}, low)"
        if self.kept.intersection(outs):
            self.whole(f"A_{weight} = hist_{self.cell.state[0]}.new_empty(n, w.rows({weight!r}))")
            self.columns(outs, f"A_{weight}", self.width(outs[0]))
            self.inner(f"{self.view(f'R_{weight}', f'A_{weight}')}.copy_({call})")
        elif len(outs) == 1:
            self.inner(f"R_{weight} = s_{outs[0]} = {call}")
        else:
            self.inner(f"R_{weight} = {call}")
            for k, name in enumerate(outs):
                if name in self.later:
                    self.inner(f"s_{name} = R_{weight}[:, {k} * H:{k + 1} * H]")

    def add_sums(self, todo: list[Statement]) -> list[Statement]:
        """Sum gates of a recurrent product that holds other gates too: added into the input slab, neighbours at once."""
        names = {f"a_{g}" for g in self.derivation.sum_gates}
        sums = [st for st in todo if isinstance(st, Pointwise) and st.name in names]
        ins = {g: k for k, g in enumerate(self.cell.input_gates)}
        recs = {g: k for k, g in enumerate(self.cell.recurrent_gates)}
        gates = sorted((st.name.removeprefix("a_") for st in sums), key=ins.__getitem__)
        while gates:
            run = [gates.pop(0)]
            while gates and ins[gates[0]] == ins[run[-1]] + 1 and recs[gates[0]] == recs[run[-1]] + 1:
                run.append(gates.pop(0))
            i, r, k = ins[run[0]], recs[run[0]], len(run)
            target = self.view(f"A_{'_'.join(run)}", f"A_ih[:, {i} * H:{i + k} * H]")
            self.inner(f"{target}.add_(R_hh[:, {r} * H:{r + k} * H])")
            for gate in run:
                self.places[f"a_{gate}"] = self.places[f"a_{gate}_in"]
                self.homes[f"a_{gate}"] = self.homes[f"a_{gate}_in"]
        return [st for st in todo if st not in sums]

    def activate(self, todo: list[Statement]) -> list[Statement]:
        """Functions of single pre-activations, in place in the slab, neighbouring columns at once."""
        ready: dict[int, tuple[str, Pointwise]] = {}
        for st in todo:
            if not (
                isinstance(st, Pointwise) and type(st.value).__name__ in IN_PLACE and st.name not in self.cell.state
            ):
                continue
            argument = str(st.value.args[0])
            readers = sum(argument in names_in(s) for s in todo)
            if argument in self.places and argument.startswith("a_") and readers == 1 and argument not in self.kept:
                ready[self.places[argument][1]] = (argument, st)
        columns = sorted(ready)
        while columns:
            run = [columns.pop(0)]
            function = type(ready[run[0]][1].value).__name__
            while columns and columns[0] == run[-1] + 1 and type(ready[columns[0]][1].value).__name__ == function:
                run.append(columns.pop(0))
            target = "_".join(("F", *(ready[k][1].name for k in run)))
            self.inner(IN_PLACE[function].format(self.view(target, f"A_ih[:, {run[0]} * H:{run[-1] + 1} * H]")))
            for k in run:
                argument, st = ready[k]
                self.homes[st.name], self.places[st.name] = self.homes[argument], self.places[argument]
        done = [st for _, st in ready.values()]
        return [st for st in todo if st not in done]

    def normalise(self, outs: tuple[str, ...], arguments: tuple[str, ...], scale: str) -> None:
        row = ", ".join(map(self.spell_step, arguments))
        slab = f"A_{outs[0]}"
        self.whole(f"{slab} = hist_{self.cell.state[0]}.new_empty(n, {len(outs)} * H)")
        self.whole(f"W_{scale} = {slab}.new_empty(n, 1)")
        self.columns(outs, slab, "H")
        self.homes[scale] = f"W_{scale}"
        self.inner(f"_row, _scale = norm(torch.cat(({row},), 1))")
        self.inner(f"{self.view(f'S_{outs[0]}', slab)}.copy_(_row)")
        self.inner(f"{self.view(f'S_{scale}', f'W_{scale}')}.copy_(_scale)")

    def pointwise(self, name: str, value: Any, rest: set[str]) -> None:
        if name in self.cell.state:
            return self.inner.assign(f"s_{name}", value, into=True)
        for argument in map(str, value.args if value.is_Add else ()):
            dead = argument not in rest and argument not in self.kept and argument in self.places
            if dead and argument.startswith("a_"):
                self.homes[name], self.places[name] = self.homes[argument], self.places[argument]
                self.inner(f"{self.spell_step(argument)}.add_({self.inner.value(value - _symbol_of(value, argument))})")
                self.inner(f"s_{name} = s_{argument}")
                return None
        if type(value).__name__ in IN_PLACE:
            argument = str(value.args[0])
            dead = argument not in rest and argument not in self.kept
            if argument in self.places and dead:
                self.homes[name], self.places[name] = self.homes[argument], self.places[argument]
                return self.inner(f"s_{name} = {IN_PLACE[type(value).__name__].format(self.spell_step(argument))}")
        if name in self.kept:
            self.whole(f"W_{name} = hist_{self.cell.state[0]}.new_empty(n, {self.width(name)})")
            self.homes[name] = f"W_{name}"
            return self.inner.assign(self.view(f"s_{name}", f"W_{name}"), value, into=True)
        return self.inner.assign(f"s_{name}", value)


def _symbol_of(value: Any, name: str) -> Any:
    return next(a for a in value.args if str(a) == name)


class _Backward(_Writer):
    """Writes `backward(gy, late, carry, rows, kept, whole, sizes, w, masks, low, need_x, record) → …`.

    `late` holds the gradients of final states for sequences that end here, `carry` what later steps left, for its
    first `rows` rows. Adds the gradients of parameters to those in `w`; returns the carry for earlier steps and the
    gradients of the other leaves, one row per packed row.
    """

    def write(self) -> list[str]:
        phase, derivation, cell = self.program.backward, self.derivation, self.cell
        for name in derivation.kept:
            self.homes[name] = f"kept[{name!r}]"
        for name in ("x", *cell.state, *(f"{s}_prev" for s in cell.state)):
            self.homes[name] = f"whole[{name!r}]"
        self.stored()
        for st in phase.before:
            self.over_all(st)
        self.before_lines, self.whole.lines = self.whole.lines, []
        self.step_lines(phase)
        for st in phase.after:
            self.over_all(st)
        arguments = "gy, late, carry, rows, kept, whole, sizes, w, masks, low, need_x, record"
        lines = [f"def backward({arguments}):", "    n = sum(sizes)", "    H, P = w.units, late[0].shape[1]"]
        lines += [*self.slab_lines, *self.before_lines]
        lines += [f"    {', '.join(f'c_{s}' for s in cell.state)}, = carry", *self.loop(True, [("gy_h", "gy")])]
        lines += [*self.inner.lines, *self.whole.lines, *self.finish()]
        return lines

    def stored(self) -> None:
        """Values of the loop that are wanted for all time steps, as columns of slabs that the weight products read."""
        derivation, phase = self.derivation, self.program.backward
        weights = derivation.weight_gradients
        self.slabs: dict[str, tuple[str, int]] = {}
        self.slab_lines: list[str] = []
        for weight in sorted(weights, key=lambda name: (name == "ih", name)):
            grads = [g for g in dict.fromkeys(weights[weight][1]) if g not in self.slabs]
            width = "P" if weight == "hr" else "H"
            if grads:
                self.slab_lines.append(f"    D_{weight} = late[0].new_empty(n, {len(grads)} * {width})")
            for k, name in enumerate(grads):
                self.slabs[name] = (f"D_{weight}", k)
                self.homes[name] = (
                    f"D_{weight}[:, {k} * {width}:{k + 1} * {width}]" if len(grads) > 1 else f"D_{weight}"
                )
        after = _reads(phase.after) | set(self.program.leaf_gradients.values()) | {a for a, _ in weights.values()}
        made = {n for st in phase.step for n in names_out(st)} | {f"g_{s}" for s in self.cell.state}
        for name in sorted(after & made - self.homes.keys()):
            self.slab_lines.append(f"    W_{name} = late[0].new_empty(n, {self.width(name)})")
            self.homes[name] = f"W_{name}"

    def runs(self, weight: str) -> list[tuple[str, str, str]]:
        """A weight's gradient rows as (slab columns, first row, last row) with as few products as the slabs allow."""
        width = "P" if weight == "hr" else "H"
        found: list[list[Any]] = []
        for row, name in enumerate(self.derivation.weight_gradients[weight][1]):
            slab, column = self.slabs[name]
            if found and found[-1][0] == slab and found[-1][2] == column:
                found[-1][2:] = [column + 1, found[-1][3], row + 1]
            else:
                found.append([slab, column, column + 1, row, row + 1])
        return [(f"{s}[:, {a} * {width}:{b} * {width}]", f"{i} * {width}", f"{j} * {width}") for s, a, b, i, j in found]

    def transposed(self, weight: str, runs: list[tuple[str, str, str]]) -> str:
        rows = [f", {i}, {j}" if len(runs) > 1 else "" for _, i, j in runs]
        return " + ".join(f"w.transposed({weight!r}, {d}, low{r})" for (d, _, _), r in zip(runs, rows, strict=True))

    def over_all(self, st: Statement) -> None:
        emit = self.whole
        match st:
            case Pointwise(name, value):
                if name in self.homes:
                    emit.assign(f"W_{name}", value) if name not in self.slabs else emit.assign(
                        self.homes[name], value, into=True
                    )
                else:
                    emit.assign(f"W_{name}", value)
                    self.homes[name] = f"W_{name}"
            case Norm(outs, arguments, scale):
                row = ", ".join(map(self.spell_whole, arguments))
                emit(f"A_{outs[0]}, W_{scale} = norm(torch.cat(({row},), 1))")
                emit(f"{', '.join(f'W_{o}' for o in outs)}, = A_{outs[0]}.chunk({len(outs)}, 1)")
            case ProductTransposed(out, weight, _):
                guard = " if need_x else None" if out == self.derivation.gradients.get("x") else ""
                product = self.transposed(weight, self.runs(weight))
                if out in self.homes:
                    emit(f"{self.homes[out]}.copy_({product})")
                else:
                    emit(f"W_{out} = {product}{guard}")
                    self.homes[out] = f"W_{out}"
            case NormTransposed(outs, grads, results, scale):
                self.norm_transposed(emit, self.spell_whole, outs, grads, results, scale, "W_")

    def norm_transposed(self, emit, spell, outs, grads, results, scale, prefix) -> None:  # type: ignore[no-untyped-def]
        gradient = f"torch.cat(({', '.join(map(spell, grads))},), 1)"
        result = f"torch.cat(({', '.join(map(spell, results))},), 1)"
        emit(f"_row = norm_transposed({gradient}, {result}, {spell(scale)})")
        for k, out in enumerate(outs):
            column = f"_row[:, {k} * H:{k + 1} * H]"
            if out not in self.homes:
                emit(f"{prefix}{out} = {column}")
            elif prefix == "W_":
                emit(f"{self.homes[out]}.copy_({column})")
            else:
                emit(f"{self.view(f's_{out}', self.homes[out])}.copy_({column})")

    def step_lines(self, phase: Phase) -> None:
        emit, cell = self.inner, self.cell
        emit("if b > rows:")
        for s in cell.state:
            k = cell.state.index(s)
            emit(f"    c_{s} = torch.cat((c_{s}, late[{k}][rows:b])) if rows else late[{k}][:b]")
        emit("    rows = b")
        for k, s in enumerate(cell.state):
            if f"g_{s}" in self.homes:
                target = self.view(f"s_g_{s}", self.homes[f"g_{s}"])
                emit(f"torch.add(c_{s}, gy_h, out={target})" if k == 0 else f"{target}.copy_(c_{s})")
            else:
                emit(f"s_g_{s} = c_{s} + gy_h" if k == 0 else f"s_g_{s} = c_{s}")
        emit(f"if record is not None: record(t, s_g_{cell.state[0]})")
        for st in phase.step:
            match st:
                case Pointwise(name, value):
                    into = name in self.homes
                    target = self.view(f"s_{name}", self.homes[name]) if into else f"s_{name}"
                    emit.assign(target, value, into=into)
                case ProductTransposed(out, weight, _):
                    runs = [(self.view(f"d_{weight}_{k}", d), i, j) for k, (d, i, j) in enumerate(self.runs(weight))]
                    product = self.transposed(weight, runs)
                    if out in self.homes:
                        emit(f"{self.view(f's_{out}', self.homes[out])}.copy_({product})")
                    else:
                        emit(f"s_{out} = {product}")
                case NormTransposed(outs, grads, results, scale):
                    self.norm_transposed(emit, self.spell_step, outs, grads, results, scale, "s_")
        for s in cell.state:
            carried = self.program.carries[s]
            emit(f"c_{s} = s_{carried}" if carried else f"c_{s} = torch.zeros_like(c_{s})")

    def finish(self) -> list[str]:
        """The sums over time: one product a weight, added to what later stretches gave."""
        lines = []
        for weight, (argument, _) in self.derivation.weight_gradients.items():
            for d, first, end in self.runs(weight):
                lines.append(f"    w.add_gradient({weight!r}, {d}, {self.spell_whole(argument)}, {first}, {end}, low)")
        for leaf, name in self.program.leaf_gradients.items():
            if leaf in self.narrow:
                lines.append(f"    w.add_sum({leaf!r}, {self.spell_whole(name)})")
        rest = {leaf: name for leaf, name in self.program.leaf_gradients.items() if leaf not in self.narrow}
        leaves = ", ".join(f"{leaf!r}: {self.spell_whole(name)}" for leaf, name in rest.items())
        carry = ", ".join(f"c_{s}" for s in self.cell.state)
        return [*lines, f"    return ({carry},), rows, {{{leaves}}}"]
