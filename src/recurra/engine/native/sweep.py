"""A cell's derivation as what the native loop does at each step: products and norms, pointwise functions between them.

Pointwise statements between two seams become one function; it runs tile by tile behind the product in front of it. A
value lives in registers inside its function; where it is wanted elsewhere it has a *location*: an array with a row for
every step, the histories of the states, the step's scratch, or what is carried from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from recurra.engine.program import shared
from recurra.equations.statements import (
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Statement,
    names_in,
    names_out,
)


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
    INPUT = 8
    BEFORE = 9
    AFTER = 10


@dataclass(frozen=True)
class Location:
    """Where a value is kept: column `column` (of `width` entries) of the array `array`."""

    array: str
    mode: Mode
    column: int = 0
    width: str = "H"
    """"H" units, "P" units of a projected state, "I" inputs, or "1"."""


@dataclass(frozen=True)
class Point:
    """One pointwise function: its statements, what it reads and what it leaves where."""

    statements: tuple[Statement, ...]
    loads: tuple[tuple[str, Location], ...]
    tiles: tuple[tuple[str, int], ...]
    """Results of the product in front: name and place."""
    stores: tuple[tuple[str, Location], ...]
    width: str


@dataclass(frozen=True)
class Op:
    """One entry of the loop: a point alone, a product with the point on its tiles, or a norm."""

    kind: str
    width: str
    point: Point | None = None
    weight: str = ""
    argument: Location | None = None
    gates: int = 0
    locations: tuple[Location, ...] = ()
    """Of a product without a point: where the results go. Of norms: arguments, results, scale, as kernel.h says."""


@dataclass(frozen=True)
class Sweep:
    """The loop's body in one direction of time."""

    ops: tuple[Op, ...]
    arrays: Mapping[str, int]
    """Array → its columns; scratch arrays among them."""


@dataclass
class Sweeper:
    """One direction: statements in their order become ops."""

    statements: list[Statement]
    reads: dict[str, Location]
    """Values that come from outside the step."""
    wanted: dict[str, list[Location]]
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
            locations = self.wanted.setdefault(name, []) if elsewhere else []
            if elsewhere and all(location.mode is Mode.ACCUMULATOR for location in locations):
                locations.append(self.scratch(name))
        ops: list[Op] = []
        for k, group in enumerate(segments):
            product = seams[k - 1] if k else None
            ops += self.segment(product, group)
        return Sweep(tuple(ops), dict(self.arrays))

    def cut(self) -> tuple[list[list[Statement]], Sequence[Statement]]:
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

    def scratch(self, name: str) -> Location:
        self.arrays[f"s_{name}"] = 1
        return Location(f"s_{name}", Mode.SCRATCH, 0, self.width(name))

    def width(self, name: str) -> str:
        return self.widths.get(name, "H")

    def location(self, name: str) -> Location:
        """Where a value can be read."""
        readable = [location for location in self.wanted.get(name, ()) if location.mode is not Mode.ACCUMULATOR]
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
            stores = [(n, location) for n in (*own, *mine) for location in self.wanted.get(n, ())]
            plain = not chosen and mine == tiles and all(len(self.wanted[n]) == 1 for n in mine)
            if (chosen or mine) and not plain:
                statements = shared(chosen, "u")
                points.append(
                    Point(
                        statements,
                        tuple((n, self.location(n)) for n in loads),
                        tuple(mine.items()),
                        tuple(sorted(stores, key=str)),
                        width,
                    )
                )
        match seam:
            case Product(outs, weight, argument):
                ops.append(self.product(outs, weight, self.location(argument), points, len(outs)))
            case ProductTransposed(out, weight, grads):
                slab = next(h for h in self.wanted[grads[0]] if h.array == f"D_{weight}")
                ops.append(self.product((out,), weight, Location(slab.array, slab.mode), points, 1))
            case Norm(outs, arguments, scale):
                locations = [self.location(n) for n in (*arguments, *outs, scale)]
                ops.append(Op("norm", self.width(outs[0]), gates=len(outs), locations=tuple(locations)))
            case NormTransposed(outs, grads, results, scale):
                locations = [self.location(n) for n in (*outs, *grads, *results, scale)]
                ops.append(Op("norm_transposed", self.width(outs[0]), gates=len(outs), locations=tuple(locations)))
        return ops + [Op("point", point.width, point) for point in points]

    def product(self, outs: tuple[str, ...], weight: str, argument: Location, points: list[Point], gates: int) -> Op:
        """A product, with the point that reads its results taken out of `points`."""
        width = self.width(outs[0])
        point = next((p for p in points if p.width == width and p.tiles), None)
        if point is not None:
            points.remove(point)
            return Op("product", width, point, weight, argument, gates)
        return Op("product", width, None, weight, argument, gates, tuple(self.location(n) for n in outs))
