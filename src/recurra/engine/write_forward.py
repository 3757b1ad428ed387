"""Writes a program's `forward`: products over all time steps, then the loop, in place where a value is read no more."""

from __future__ import annotations

import sympy as sp

from recurra.engine.emit import IN_PLACE
from recurra.engine.program import Phase, Program
from recurra.engine.writer import Writer, reads
from recurra.equations.statements import Norm, Pointwise, Product, Statement, names_in


def write_forward(program: Program) -> list[str]:
    """The lines of `forward(x, sizes, states, w, masks, low) → (histories, kept)`."""
    return _Forward(program).lines()


class _Forward:
    """The function being written; slabs are arrays with one block of H columns a value."""

    def __init__(self, program: Program) -> None:
        self.phase, self.derivation = program.forward, program.derivation
        self.cell = self.derivation.cell
        self.kept = set(self.derivation.kept)
        self.later = reads(self.phase.step)
        self.writer = Writer(program)
        self.places: dict[str, tuple[str, int]] = {}
        """Value → its slab, and its column of it."""

    def lines(self) -> list[str]:
        cell, writer = self.cell, self.writer
        writer.locations["x"] = "x"
        begin = [
            "def forward(x, sizes, states, w, masks, low):",
            "    n, b0 = x.shape[0], sizes[0]",
            "    H, P, I = w.units, states[0].shape[1], x.shape[1]",
        ]
        for state in cell.state:
            begin += [
                f"    hist_{state} = x.new_empty(b0 + n, {writer.width(state)}, dtype=states[0].dtype)",
                f"    hist_{state}[:b0] = states[{cell.state.index(state)}]",
                f"    parts_{state} = hist_{state}.split((b0, *sizes))",
            ]
        for st in self.phase.before:
            self.before(st)
        self.body(self.phase)
        extra = [(f"s_{s}", f"parts_{s}[1:]") for s in cell.state]
        extra += [
            (f"s_{s}_prev", f"[p[:b] for p, b in zip(parts_{s}, sizes, strict=False)]")
            for s in cell.state
            if f"{s}_prev" in self.later
        ]
        kept = ", ".join(f"{k!r}: {writer.locations[k]}" for k in self.derivation.kept)
        hist = ", ".join(f"hist_{s}" for s in cell.state)
        loop = [writer.loop(False, extra), *writer.inner.lines]
        return [*begin, *writer.whole.lines, *loop, f"    return ({hist},), {{{kept}}}"]

    def before(self, st: Statement) -> None:
        """A statement for all time steps at once."""
        locations, emit, spell = self.writer.locations, self.writer.whole, self.writer.spell_whole
        match st:
            case Product(outs, weight, argument):
                more = ", also='hh'" if weight == "ih" and self.all_sums() else ""
                emit(f"A_{weight} = w.product({weight!r}, {spell(argument)}, low{more})")
                self.columns(outs, f"A_{weight}")
            case Norm(outs, arguments, scale):
                row = ", ".join(map(spell, arguments))
                emit(f"A_{outs[0]}, W_{scale} = norm(torch.cat(({row},), 1))")
                self.columns(outs, f"A_{outs[0]}")
                locations[scale] = f"W_{scale}"
            case Pointwise(name, value):
                emit.assign(f"W_{name}", value)
                locations[name] = f"W_{name}"

    def columns(self, names: tuple[str, ...], slab: str) -> None:
        """Let values live side by side in a slab."""
        for k, name in enumerate(names):
            column = f"{slab}{self.writer.block(name, k)}"
            self.writer.locations[name] = column if len(names) > 1 else slab
            self.places[name] = (slab, k)

    def move_in(self, name: str, former: str) -> None:
        """Let a value live where a former one lived, which is read no more."""
        self.writer.locations[name], self.places[name] = self.writer.locations[former], self.places[former]

    def body(self, phase: Phase) -> None:
        writer, todo = self.writer, list(phase.step)
        gates = self.cell.recurrent_gates
        sums = [f"a_{g}" for g in gates] if self.all_sums() else []
        while todo:
            st = todo.pop(0)
            rest = reads(todo)
            match st:
                case Product(_, "hh", argument) if sums:
                    slab = writer.view("A_all", "A_ih")
                    writer.inner(f"w.accumulate('hh', {writer.spell_step(argument)}, {slab}, low)")
                    for gate in gates:
                        self.move_in(f"a_{gate}", f"a_{gate}_in")
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
        writer = self.writer
        call = f"w.product({weight!r}, {writer.spell_step(argument)}, low)"
        if self.kept.intersection(outs):
            writer.whole(f"A_{weight} = {self.new_rows(f'w.rows({weight!r})')}")
            self.columns(outs, f"A_{weight}")
            writer.inner(f"{writer.view(f'R_{weight}', f'A_{weight}')}.copy_({call})")
        elif len(outs) == 1:
            writer.inner(f"R_{weight} = s_{outs[0]} = {call}")
        else:
            writer.inner(f"R_{weight} = {call}")
            for k, name in enumerate(outs):
                if name in self.later:
                    writer.inner(f"s_{name} = R_{weight}{writer.block(name, k)}")

    def add_sums(self, todo: list[Statement]) -> list[Statement]:
        """Sum gates where the product holds other gates too: added into the input slab, neighbours at once."""
        writer = self.writer
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
            target = writer.view(f"A_{'_'.join(run)}", f"A_ih[:, {i} * H:{i + k} * H]")
            writer.inner(f"{target}.add_(R_hh[:, {r} * H:{r + k} * H])")
            for gate in run:
                self.move_in(f"a_{gate}", f"a_{gate}_in")
        return [st for st in todo if st not in sums]

    def activate(self, todo: list[Statement]) -> list[Statement]:
        """Functions of single pre-activations, in place in the slab, neighbouring columns at once."""
        writer = self.writer
        ready: dict[int, tuple[str, Pointwise]] = {}
        for st in todo:
            if not isinstance(st, Pointwise) or _function(st.value) not in IN_PLACE or st.name in self.cell.state:
                continue
            argument = str(st.value.args[0])
            readers = sum(argument in names_in(s) for s in todo)
            if argument in self.places and argument.startswith("a_") and readers == 1 and argument not in self.kept:
                ready[self.places[argument][1]] = (argument, st)
        columns = sorted(ready)
        while columns:
            run = [columns.pop(0)]
            function = _function(ready[run[0]][1].value)
            while columns and columns[0] == run[-1] + 1 and _function(ready[columns[0]][1].value) == function:
                run.append(columns.pop(0))
            target = "_".join(("F", *(ready[k][1].name for k in run)))
            writer.inner(IN_PLACE[function].format(writer.view(target, f"A_ih[:, {run[0]} * H:{run[-1] + 1} * H]")))
            for k in run:
                argument, st = ready[k]
                self.move_in(st.name, argument)
        done = [st for _, st in ready.values()]
        return [st for st in todo if st not in done]

    def normalise(self, outs: tuple[str, ...], arguments: tuple[str, ...], scale: str) -> None:
        writer, slab = self.writer, f"A_{outs[0]}"
        row = ", ".join(map(writer.spell_step, arguments))
        writer.whole(f"{slab} = {self.new_rows(f'{len(outs)} * {writer.width(outs[0])}')}")
        writer.whole(f"W_{scale} = {slab}.new_empty(n, 1)")
        self.columns(outs, slab)
        writer.locations[scale] = f"W_{scale}"
        writer.inner(f"_row, _scale = norm(torch.cat(({row},), 1))")
        writer.inner(f"{writer.view(f'S_{outs[0]}', slab)}.copy_(_row)")
        writer.inner(f"{writer.view(f'S_{scale}', f'W_{scale}')}.copy_(_scale)")

    def pointwise(self, name: str, value: sp.Expr, rest: set[str]) -> None:
        """A statement of the loop; `rest` are the values that later ones read."""
        writer = self.writer
        inner, spell = writer.inner, writer.spell_step
        free = [a for a in map(str, value.args) if a in self.places and a not in rest and a not in self.kept]
        summand = next((a for a in free if a.startswith("a_")), None) if value.is_Add else None
        if name in self.cell.state:
            inner.assign(f"s_{name}", value, into=True)
        elif summand is not None:
            self.move_in(name, summand)
            others = value - next(a for a in value.args if str(a) == summand)
            inner(f"{spell(summand)}.add_({inner.value(others)})")
            inner(f"s_{name} = s_{summand}")
        elif _function(value) in IN_PLACE and str(value.args[0]) in free:
            argument = str(value.args[0])
            self.move_in(name, argument)
            inner(f"s_{name} = {IN_PLACE[_function(value)].format(spell(argument))}")
        elif name in self.kept:
            writer.whole(f"W_{name} = {self.new_rows(writer.width(name))}")
            writer.locations[name] = f"W_{name}"
            inner.assign(writer.view(f"s_{name}", f"W_{name}"), value, into=True)
        else:
            inner.assign(f"s_{name}", value)

    def new_rows(self, width: str) -> str:
        """The expression of a new array with one row per packed row."""
        return f"hist_{self.cell.state[0]}.new_empty(n, {width})"


def _function(value: sp.Expr) -> str:
    """The name of the function that an expression calls, if it is a call."""
    return type(value).__name__
