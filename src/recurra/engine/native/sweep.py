"""A cell's derivation as what the native loop does at each step: products and norms, pointwise functions between them.

Pointwise statements between two seams become one function; it runs tile by tile behind the product in front of it. A
value lives in registers inside its function; where it is wanted elsewhere it has a *home*: an array with a row for
every step, the histories of the states, the step's scratch, or what is carried from step to step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

import sympy as sp

from recurra.engine.program import shared
from recurra.equations.derive import (
    Derivation,
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Statement,
    Variant,
    derive,
    names_in,
    names_out,
    symbol,
)
from recurra.equations.language import Cell


class Mode(IntEnum):
    """Where a value's row is at a step; as in csrc/kernel.h."""

    WHOLE = 0
    PREVIOUS = 1
    NEW = 2
    SCRATCH = 3
    CARRY = 4
    PARAMETER = 5
    SCALAR = 6
    ACCUMULATOR = 7


@dataclass(frozen=True)
class Home:
    """Where a value is kept: column `column` (of `width` entries) of the array `array`."""

    array: str
    mode: Mode
    column: int = 0
    width: str = "H"
    """"H" units, "P" units of a projected state, or "1"."""


@dataclass(frozen=True)
class Point:
    """One pointwise function: its statements, what it reads and what it leaves where."""

    statements: tuple[Statement, ...]
    loads: tuple[tuple[str, Home], ...]
    tiles: tuple[tuple[str, int], ...]
    """Results of the product in front: name and place."""
    stores: tuple[tuple[str, Home], ...]
    width: str


@dataclass(frozen=True)
class Op:
    """One entry of the loop: a point alone, a product with the point on its tiles, or a norm."""

    kind: str
    width: str
    point: Point | None = None
    weight: str = ""
    argument: Home | None = None
    gates: int = 0
    homes: tuple[Home, ...] = ()
    """Of a product without a point: where the results go. Of norms: arguments, results and scale in kernel.h's order."""


@dataclass(frozen=True)
class Sweep:
    """The loop's body in one direction of time."""

    ops: tuple[Op, ...]
    arrays: Mapping[str, int]
    """Array → its columns; scratch arrays among them."""


@dataclass(frozen=True)
class Native:
    """The sweeps of a cell, and what is left to be done for all steps at once."""

    derivation: Derivation
    forward: Sweep
    inference: Sweep
    """The forward that keeps nothing for a backward."""
    backward: Sweep
    columns: dict[str, tuple[tuple[str, int], ...]]
    """Weight → for each of its gradients the array and column where it stands for all steps."""
    sums: dict[str, str]
    """Leaf → array of sums over all rows: unit and scalar parameters; `bias:<gradient>` for a gradient summed itself."""
    leaves: dict[str, str]
    """Leaf with a gradient of its own for each row (x where it is read unit by unit, …) → its array."""
    kept: dict[str, int]
    """Value that the backward reads → its column of the array "kept"."""
    scales: tuple[str, ...]
    """Norms' 1/σ, each an array with one number a row."""
    reads_inputs: bool
    """Whether the backward reads the input product."""


@lru_cache(maxsize=256)
def native(cell: Cell, variant: Variant, also: tuple[str, ...] = ()) -> Native:
    """What the native loop does for a cell; `also` are the states besides the first that get gradients at every step."""
    return _Build(derive(cell, variant), (cell.state[0], *also)).made()


@dataclass
class _Sweeper:
    """One direction: statements in their order become ops."""

    statements: list[Statement]
    reads: dict[str, Home]
    """Values that come from outside the step."""
    wanted: dict[str, list[Home]]
    """Values that must be left somewhere."""
    widths: dict[str, str]
    arrays: dict[str, int] = field(default_factory=dict)

    def sweep(self) -> Sweep:
        segments, seams = self.cut()
        made_in = {n: k for k, group in enumerate(segments) for st in group for n in names_out(st)}
        for k, seam in enumerate(seams):
            tiled = isinstance(seam, Product | ProductTransposed)  # a norm's results are in memory, not in registers
            made_in |= dict.fromkeys(names_out(seam), k + 1 if tiled else -1)
        readers: dict[str, set[int]] = {}
        for k, group in enumerate(segments):
            for st in group:
                for name in names_in(st):
                    readers.setdefault(name, set()).add(k)
        seam_reads = {n for seam in seams for n in names_in(seam)}
        for name, segment in made_in.items():
            elsewhere = readers.get(name, set()) - {segment} or name in seam_reads
            homes = self.wanted.setdefault(name, []) if elsewhere else []
            if elsewhere and all(home.mode is Mode.ACCUMULATOR for home in homes):
                homes.append(self.scratch(name))
        ops: list[Op] = []
        for k, group in enumerate(segments):
            product = seams[k - 1] if k else None
            ops += self.segment(product, group)
        return Sweep(tuple(ops), dict(self.arrays))

    def cut(self) -> tuple[list[list[Statement]], list[Statement]]:
        """Pointwise statements by segment, each as early as its arguments allow (those without any inside the step
        where they are first read), and the seams between the segments."""
        seams = [st for st in self.statements if not isinstance(st, Pointwise)]
        ready: dict[str, int] = {}
        free: set[str] = set()
        count = 0
        for st in self.statements:
            if isinstance(st, Pointwise):
                inside = [ready[n] for n in names_in(st) if n in ready]
                ready[st.name] = max(inside, default=0)
                if all(n in free for n in names_in(st) if n in ready) and not st.name.startswith("g_"):
                    free.add(st.name)
            else:
                count += 1
                ready |= dict.fromkeys(names_out(st), count)
        position = {id(seam): k for k, seam in enumerate(seams)}
        for st in reversed(self.statements):
            if isinstance(st, Pointwise) and st.name in free:
                later = [ready[r.name] for r in self.statements if isinstance(r, Pointwise) and st.name in names_in(r)]
                later += [position[id(r)] for r in seams if st.name in names_in(r)]
                ready[st.name] = max(min(later, default=len(seams)), ready[st.name])
        segments: list[list[Statement]] = [[] for _ in range(len(seams) + 1)]
        for st in self.statements:
            if isinstance(st, Pointwise):
                segments[ready[st.name]].append(st)
        return segments, seams

    def scratch(self, name: str) -> Home:
        self.arrays[f"s_{name}"] = 1
        return Home(f"s_{name}", Mode.SCRATCH, 0, self.width(name))

    def width(self, name: str) -> str:
        return self.widths.get(name, "H")

    def home(self, name: str) -> Home:
        """Where a value can be read."""
        readable = [home for home in self.wanted.get(name, ()) if home.mode is not Mode.ACCUMULATOR]
        return readable[0] if readable else self.reads[name]

    def segment(self, seam: Statement | None, group: Sequence[Statement]) -> list[Op]:
        """The ops of one seam and the pointwise statements behind it."""
        made = {n for st in group for n in names_out(st)}
        tiles = {n: k for k, n in enumerate(names_out(seam))} if isinstance(seam, Product | ProductTransposed) else {}
        needs = {n for st in group for n in names_in(st)} | (tiles.keys() & self.wanted.keys())
        ops: list[Op] = []
        points = []
        for width in sorted({self.width(n) for n in made} or {self.width(n) for n in tiles}):
            chosen = [st for st in group if self.width(next(iter(names_out(st)))) == width]
            mine = {n: k for n, k in tiles.items() if self.width(n) == width and n in needs}
            own = {n for st in chosen for n in names_out(st)}
            loads = sorted({n for st in chosen for n in names_in(st)} - own - mine.keys())
            stores = [(n, home) for n in (*own, *mine) for home in self.wanted.get(n, ())]
            plain = not chosen and mine == tiles and all(len(self.wanted[n]) == 1 for n in mine)
            if (chosen or mine) and not plain:
                statements = shared(chosen, "u")
                points.append(
                    Point(
                        statements,
                        tuple((n, self.home(n)) for n in loads),
                        tuple(mine.items()),
                        tuple(sorted(stores, key=str)),
                        width,
                    )
                )
        match seam:
            case Product(outs, weight, argument):
                ops.append(self.product(outs, weight, self.home(argument), points, len(outs)))
            case ProductTransposed(out, weight, grads):
                slab = next(h for h in self.wanted[grads[0]] if h.array == f"D_{weight}")
                ops.append(self.product((out,), weight, Home(slab.array, slab.mode), points, 1))
            case Norm(outs, arguments, scale):
                homes = [self.home(n) for n in (*arguments, *outs, scale)]
                ops.append(Op("norm", "H", gates=len(outs), homes=tuple(homes)))
            case NormTransposed(outs, grads, results, scale):
                homes = [self.home(n) for n in (*outs, *grads, *results, scale)]
                ops.append(Op("norm_transposed", "H", gates=len(outs), homes=tuple(homes)))
        return ops + [Op("point", point.width, point) for point in points]

    def product(
        self, outs: tuple[str, ...], weight: str, argument: Home, points: list[Point], gates: int
    ) -> Op:
        """A product, with the point that reads its results taken out of `points`."""
        width = self.width(outs[0])
        point = next((p for p in points if p.width == width and p.tiles), None)
        if point is not None:
            points.remove(point)
            return Op("product", width, point, weight, argument, gates)
        return Op("product", width, None, weight, argument, gates, tuple(self.home(n) for n in outs))


class _Build:
    """Homes for everything that is not of one step alone."""

    def __init__(self, derivation: Derivation, given: tuple[str, ...]) -> None:
        self.derivation, self.cell, self.given = derivation, derivation.cell, given
        self.widths = self.find_widths()

    def find_widths(self) -> dict[str, str]:
        if not self.derivation.variant.projected:
            return {}
        first = self.cell.state[0]
        narrow = {first, f"{first}_prev", f"g_{first}", f"carry_{first}", f"gy_{first}", "mask_recurrent", f"mask_zoneout_{first}"}
        for st in (*self.derivation.forward, *self.derivation.recomputed, *self.derivation.backward):
            match st:
                case Pointwise(name, _) if narrow.intersection(names_in(st)):
                    narrow.add(name)
                case Product(outs, "hr", _):
                    narrow.update(outs)
                case ProductTransposed(out, "hh", _):
                    narrow.add(out)
        return dict.fromkeys((*narrow, f"next_{first}"), "P")

    def made(self) -> Native:
        d, cell = self.derivation, self.cell
        states = {f"{s}_prev": Home(f"hist_{s}", Mode.PREVIOUS, 0, self.widths.get(s, "H")) for s in cell.state}
        news = {s: Home(f"hist_{s}", Mode.NEW, 0, self.widths.get(s, "H")) for s in cell.state}
        given = {
            n: Home(n, Mode.WHOLE, 0, self.widths.get(n, "H"))
            for st in (*d.forward, *d.recomputed, *d.backward)
            for n in names_in(st)
            if n == "x" or n.startswith(("mask_", "lower_"))
        }
        own = {
            n: Home(n, Mode.PARAMETER if p.op == "unit" else Mode.SCALAR, 0, "H" if p.op == "unit" else "1")
            for n, p in cell.parameters.items()
        }
        inputs = {f"a_{g}_in": Home("A_ih", Mode.WHOLE, k) for k, g in enumerate(cell.input_gates)}
        scales = [n for st in d.forward if isinstance(st, Norm) for n in (st.scale,)]
        kept = {n: Home(n, Mode.WHOLE, 0, "1") for n in scales}
        kept |= {
            n: Home("kept", Mode.WHOLE, k) for k, n in enumerate(n for n in d.kept if n not in scales and n not in inputs)
        }
        steps = [st for st in d.forward if not (isinstance(st, Product) and st.weight == "ih")]

        def forward(keep: bool) -> Sweep:
            wanted = {s: [home] for s, home in news.items()}
            for name, home in kept.items() if keep else ():
                wanted.setdefault(name, []).append(home)
            if not keep:
                wanted |= {name: [home] for name, home in kept.items() if name in scales}
            return _Sweeper(steps, {**states, **given, **own, **inputs}, wanted, self.widths).sweep()

        back = kept | {n: home for n, home in inputs.items() if n in d.kept}
        return self.backward(forward(True), forward(False), {**states, **news, **given, **own, **back})

    def backward(self, forward: Sweep, inference: Sweep, reads: dict[str, Home]) -> Native:
        d, cell = self.derivation, self.cell
        reads = reads | {f"gy_{s}": Home(f"gy_{s}", Mode.WHOLE, 0, self.widths.get(s, "H")) for s in self.given}
        wanted: dict[str, list[Home]] = {}
        begin: list[Statement] = []
        for s in cell.state:
            width = self.widths.get(s, "H")
            reads[f"carry_{s}"] = Home(f"carry_{s}", Mode.CARRY, 0, width)
            arriving = symbol(f"carry_{s}") + (symbol(f"gy_{s}") if s in self.given else 0)
            begin.append(Pointwise(f"g_{s}", arriving))
        columns: dict[str, tuple[tuple[str, int], ...]] = {}
        whole: dict[str, tuple[str, int]] = {}
        for weight in sorted(d.weight_gradients, key=lambda name: (name == "ih", name)):
            places: list[tuple[str, int]] = []
            used = 0
            for name in d.weight_gradients[weight][1]:
                if weight == "ih" and name in whole:
                    places.append(whole[name])
                    continue
                place = (f"D_{weight}", used)
                used += 1
                whole.setdefault(name, place)
                wanted.setdefault(name, []).append(Home(*_place(place), self.widths.get(name, "H")))
                places.append(place)
            columns[weight] = tuple(places)
            argument = d.weight_gradients[weight][0]
            if argument not in reads:
                wanted.setdefault(argument, []).append(Home(argument, Mode.WHOLE, 0, self.widths.get(argument, "H")))
        sums: dict[str, str] = {}
        leaves: dict[str, str] = {}
        statements: list[Statement] = []
        for st in d.backward:
            if isinstance(st, ProductTransposed) and st.weight == "ih":
                continue
            statements.append(st)
        outer = {n for st in d.backward if isinstance(st, ProductTransposed) and st.weight == "ih" for n in names_out(st)}
        for leaf, name in d.gradients.items():
            if leaf.endswith("_prev"):
                state = leaf.removesuffix("_prev")
                statements.append(Pointwise(f"next_{state}", symbol(name)))
                wanted[f"next_{state}"] = [reads[f"carry_{state}"]]
            elif leaf in cell.parameters:
                self.total(wanted, sums, leaf, name)
            elif name not in outer:
                if leaf == "x":
                    statements = [_without(st, outer) if isinstance(st, Pointwise) else st for st in statements]
                leaves[leaf] = f"leaf_{leaf}"
                wanted.setdefault(name, []).append(Home(f"leaf_{leaf}", Mode.WHOLE, 0, self.widths.get(name, "H")))
        for s in cell.state:
            if f"{s}_prev" not in d.gradients:
                statements.append(Pointwise(f"next_{s}", sp.Integer(0) * symbol(f"carry_{s}")))
                wanted[f"next_{s}"] = [reads[f"carry_{s}"]]
        if cell.bias:
            for weight in ("hh", "ih"):
                for name in d.weight_gradients.get(weight, ("", ()))[1]:
                    self.total(wanted, sums, f"bias:{name}", name)
        sweeper = _Sweeper([*begin, *d.recomputed, *statements], reads, wanted, self.widths)
        kept = {n: home.column for n, home in reads.items() if home.array == "kept"}
        scales = tuple(n for n, home in reads.items() if home.width == "1" and home.mode is Mode.WHOLE)
        back = sweeper.sweep()
        reads_inputs = any(home.array == "A_ih" for op in back.ops if op.point for _, home in op.point.loads)
        return Native(d, forward, inference, back, columns, sums, leaves, kept, scales, reads_inputs)

    def total(self, wanted: dict[str, list[Home]], sums: dict[str, str], leaf: str, name: str) -> None:
        """Let a gradient be summed over rows and steps."""
        array = f"sum_{name}"
        if leaf not in sums:
            sums[leaf] = array
            home = Home(array, Mode.ACCUMULATOR, 0, self.widths.get(name, "H"))
            if home not in wanted.setdefault(name, []):
                wanted[name].append(home)


def _place(place: tuple[str, int]) -> tuple[str, Mode, int]:
    return place[0], Mode.WHOLE, place[1]


def _without(st: Pointwise, names: Iterable[str]) -> Pointwise:
    """A sum without the terms that are added to it for all steps at once, after the loop."""
    gone = {symbol(n): sp.Integer(0) for n in names}
    return Pointwise(st.name, st.value.xreplace(gone))
