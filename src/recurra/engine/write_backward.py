"""Writes a program's `backward`: what waits for no later step, the loop, then one product a weight for all steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from recurra.engine.program import Program
from recurra.engine.writer import Writer, reads
from recurra.equations.statements import Norm, NormTransposed, Pointwise, ProductTransposed, Statement, names_out

Run = tuple[str, str, str]
"""Columns of a slab, and the first and last row of the weight that they belong to."""


def write_backward(program: Program, also: tuple[str, ...] = ()) -> list[str]:
    """The lines of `backward(gy, late, carry, rows, kept, whole, sizes, w, masks, low, need_x, record) → …`.

    `gy` holds what arrives at every step, a list for the first state and for each in `also`; `late` the gradients of
    final states for sequences that end here, `carry` what later steps left, for its first `rows` rows. Adds the
    gradients of parameters to those in `w`; returns the carry for earlier steps and the gradients of the other leaves,
    one row per packed row.
    """
    return _Backward(program, also).lines()


class _Backward:
    """The function being written; slabs hold the gradients that the weight products read, as columns."""

    def __init__(self, program: Program, also: tuple[str, ...]) -> None:
        self.given = (program.derivation.cell.state[0], *also)
        self.program, self.phase, self.derivation = program, program.backward, program.derivation
        self.cell = self.derivation.cell
        self.writer = Writer(program)
        self.slabs: dict[str, tuple[str, int]] = {}
        """Gradient → its slab, and its column of it."""

    def lines(self) -> list[str]:
        writer, cell = self.writer, self.cell
        for name in self.derivation.kept:
            writer.locations[name] = f"kept[{name!r}]"
        for name in ("x", *cell.state, *(f"{s}_prev" for s in cell.state)):
            writer.locations[name] = f"whole[{name!r}]"
        self.stored()
        for st in self.phase.before:
            self.over_all(st)
        before, writer.whole.lines = writer.whole.lines, []
        self.step_lines()
        for st in self.phase.after:
            self.over_all(st)
        return [
            "def backward(gy, late, carry, rows, kept, whole, sizes, w, masks, low, need_x, record):",
            "    n = sum(sizes)",
            "    H, P, I = w.units, late[0].shape[1], whole['x'].shape[1]",
            *before,
            f"    {', '.join(f'c_{s}' for s in cell.state)}, = carry",
            writer.loop(True, [(f"gy_{s}", f"gy[{k}]") for k, s in enumerate(self.given)]),
            *writer.inner.lines,
            *writer.whole.lines,
            *self.finish(),
        ]

    def stored(self) -> None:
        """Values of the loop that are wanted for all time steps: arrays, those of the weight products in slabs."""
        writer, weights = self.writer, self.derivation.weight_gradients
        for weight in sorted(weights, key=lambda name: (name == "ih", name)):
            grads = [g for g in dict.fromkeys(weights[weight][1]) if g not in self.slabs]
            slab, width = f"D_{weight}", self.width(weight)
            if grads:
                writer.whole(f"{slab} = late[0].new_empty(n, {len(grads)} * {width})")
            for k, name in enumerate(grads):
                self.slabs[name] = (slab, k)
                writer.locations[name] = f"{slab}[:, {k} * {width}:{k + 1} * {width}]" if len(grads) > 1 else slab
        leaves = self.program.leaf_gradients.values()
        after = reads(self.phase.after) | set(leaves) | {argument for argument, _ in weights.values()}
        made = {n for st in self.phase.step for n in names_out(st)} | {f"g_{s}" for s in self.cell.state}
        for name in sorted(after & made - writer.locations.keys()):
            writer.whole(f"W_{name} = late[0].new_empty(n, {writer.width(name)})")
            writer.locations[name] = f"W_{name}"

    def width(self, weight: str) -> str:
        """Columns of a gradient in a weight's slab."""
        return "P" if weight == "hr" else self.writer.width(self.derivation.weight_gradients[weight][1][0])

    def runs(self, weight: str) -> list[Run]:
        """A weight's gradient rows as (slab columns, first row, last row) with as few products as the slabs allow."""
        width = self.width(weight)
        found: list[tuple[str, int, int, int, int]] = []  # slab, its columns from and to, rows from and to
        for row, name in enumerate(self.derivation.weight_gradients[weight][1]):
            slab, column = self.slabs[name]
            if found and (found[-1][0], found[-1][2]) == (slab, column):
                _, begin, _, first, _ = found.pop()
            else:
                begin, first = column, row
            found.append((slab, begin, column + 1, first, row + 1))
        return [(f"{s}[:, {a} * {width}:{b} * {width}]", f"{i} * {width}", f"{j} * {width}") for s, a, b, i, j in found]

    def over_all(self, st: Statement) -> None:
        """A statement for all time steps at once."""
        locations, emit, spell = self.writer.locations, self.writer.whole, self.writer.spell_whole
        match st:
            case Pointwise(name, value):
                if name in self.slabs:
                    emit.assign(locations[name], value, into=True)
                else:
                    emit.assign(f"W_{name}", value)
                    locations.setdefault(name, f"W_{name}")
            case Norm(outs, arguments, scale):
                row = ", ".join(map(spell, arguments))
                emit(f"A_{outs[0]}, W_{scale} = norm(torch.cat(({row},), 1))")
                emit(f"{', '.join(f'W_{o}' for o in outs)}, = A_{outs[0]}.chunk({len(outs)}, 1)")
            case ProductTransposed(out, weight, _):
                product = _transposed(weight, self.runs(weight))
                if out in locations:
                    emit(f"{locations[out]}.copy_({product})")
                else:
                    guard = " if need_x else None" if out == self.derivation.gradients.get("x") else ""
                    emit(f"W_{out} = {product}{guard}")
                    locations[out] = f"W_{out}"
            case NormTransposed():
                emit(f"_row = {_norm_transposed(st, spell)}")
                for k, out in enumerate(st.outs):
                    column = f"_row{self.writer.block(out, k)}"
                    emit(f"{locations[out]}.copy_({column})" if out in locations else f"W_{out} = {column}")

    def step_lines(self) -> None:
        """The body of the loop."""
        writer, cell = self.writer, self.cell
        emit = writer.inner
        emit("if b > rows:")
        for k, s in enumerate(cell.state):
            emit(f"    c_{s} = torch.cat((c_{s}, late[{k}][rows:b])) if rows else late[{k}][:b]")
        emit("    rows = b")
        for s in cell.state:
            if f"g_{s}" in writer.locations:
                target = writer.view(f"s_g_{s}", writer.locations[f"g_{s}"])
                emit(f"torch.add(c_{s}, gy_{s}, out={target})" if s in self.given else f"{target}.copy_(c_{s})")
            else:
                emit(f"s_g_{s} = c_{s} + gy_{s}" if s in self.given else f"s_g_{s} = c_{s}")
        emit(f"if record is not None: record(t, s_g_{cell.state[0]})")
        for st in self.phase.step:
            self.step(st)
        for s in cell.state:
            carried = self.program.carries[s]
            emit(f"c_{s} = s_{carried}" if carried else f"c_{s} = torch.zeros_like(c_{s})")

    def step(self, st: Statement) -> None:
        """A statement of one time step."""
        writer = self.writer
        emit, spell = writer.inner, writer.spell_step
        match st:
            case Pointwise(name, value):
                into = name in writer.locations
                target = writer.view(f"s_{name}", writer.locations[name]) if into else f"s_{name}"
                emit.assign(target, value, into=into)
            case ProductTransposed(out, weight, _):
                runs = [(writer.view(f"d_{weight}_{k}", d), i, j) for k, (d, i, j) in enumerate(self.runs(weight))]
                self.put(out, _transposed(weight, runs))
            case NormTransposed():
                emit(f"_row = {_norm_transposed(st, spell)}")
                for k, out in enumerate(st.outs):
                    self.put(out, f"_row{writer.block(out, k)}")

    def put(self, name: str, call: str) -> None:
        """A value of the loop, copied where it is whole."""
        writer = self.writer
        if name in writer.locations:
            writer.inner(f"{writer.view(f's_{name}', writer.locations[name])}.copy_({call})")
        else:
            writer.inner(f"s_{name} = {call}")

    def finish(self) -> list[str]:
        """The sums over time: one product a weight, added to what later stretches gave."""
        spell, lines = self.writer.spell_whole, []
        for weight, (argument, _) in self.derivation.weight_gradients.items():
            for d, first, end in self.runs(weight):
                lines.append(f"    w.add_gradient({weight!r}, {d}, {spell(argument)}, {first}, {end}, low)")
        gradients, narrow = self.program.leaf_gradients, self.writer.narrow
        for leaf, name in gradients.items():
            if leaf in narrow:
                lines.append(f"    w.add_sum({leaf!r}, {spell(name)})")
        leaves = ", ".join(f"{leaf!r}: {spell(name)}" for leaf, name in gradients.items() if leaf not in narrow)
        carry = ", ".join(f"c_{s}" for s in self.cell.state)
        return [*lines, f"    return ({carry},), rows, {{{leaves}}}"]


def _transposed(weight: str, runs: Sequence[Run]) -> str:
    """The expression of a transposed product, the sum over its runs."""
    rows = [f", {i}, {j}" if len(runs) > 1 else "" for _, i, j in runs]
    return " + ".join(f"w.transposed({weight!r}, {d}, low{r})" for (d, _, _), r in zip(runs, rows, strict=True))


def _norm_transposed(st: NormTransposed, spell: Callable[[str], str]) -> str:
    gradient, result = (f"torch.cat(({', '.join(map(spell, row))},), 1)" for row in (st.grads, st.results))
    return f"norm_transposed({gradient}, {result}, {spell(st.scale)})"
