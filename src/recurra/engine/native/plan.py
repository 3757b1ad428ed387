"""What the native engine does for a whole cell: its sweeps, what outlives a step, and what is left for torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from recurra.engine.native.sweep import Location, Mode, Sweep, Sweeper
from recurra.engine.program import program
from recurra.equations.derive import Derivation, Variant, derive
from recurra.equations.language import Cell
from recurra.equations.statements import (
    BESIDE,
    Norm,
    Pointwise,
    Product,
    ProductTransposed,
    Statement,
    names_in,
    names_out,
    symbol,
)

RECORDED = "recorded"
"""The array that holds the gradient of every step's h where it is asked for."""


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
    """Leaf → array of sums over all rows: unit and scalar parameters; `bias:<gradient>`: a gradient summed itself."""
    leaves: dict[str, str]
    """Leaf with a gradient of its own for each row (x where it is read unit by unit, …) → its array."""
    kept: dict[str, Location]
    """Values that the forward keeps for the backward."""
    reads_inputs: bool
    """Whether the backward reads the input product."""


@lru_cache(maxsize=256)
def native(
    cell: Cell, variant: Variant, also: tuple[str, ...] = (), inside: bool = False, record: bool = False
) -> Native:
    """What the native loop does for a cell; `also`: states besides the first that get gradients at every step;
    `inside`: the input product is part of every step, instead of one for all steps that the loop reads; `record`: the
    backward leaves ∂L/∂h of every step in the array `RECORDED`."""
    return _Build(derive(cell, variant), (cell.state[0], *also), record).made(inside)


@lru_cache(maxsize=256)
def single_step(cell: Cell, variant: Variant) -> Sweep:
    """The body for one step alone: the input product is in it, masks are vectors [units] that stay the same, and what
    comes beside x has a row for each sequence."""
    return _Build(derive(cell, variant), cell.state[:1]).step()


class _Build:
    """Locations for everything that is not of one step alone."""

    def __init__(self, derivation: Derivation, given: tuple[str, ...], record: bool = False) -> None:
        self.derivation, self.cell, self.given, self.record = derivation, derivation.cell, given, record
        self.widths = self.find_widths()

    def find_widths(self) -> dict[str, str]:
        """Of values that have not as many entries as units."""
        derivation = self.derivation
        widths = dict.fromkeys(program(self.cell, derivation.variant).wide, "I")
        if not derivation.variant.projected:
            return widths
        first = self.cell.state[0]
        narrow = {first, f"{first}_prev", *(f"{what}_{first}" for what in ("g", "carry", "gy", "mask_zoneout"))}
        narrow.add("mask_recurrent")
        for st in (*derivation.forward, *derivation.recomputed, *derivation.backward):
            match st:
                case Pointwise(name, _) if narrow.intersection(names_in(st)):
                    narrow.add(name)
                case Product(outs, "hr", _):
                    narrow.update(outs)
                case ProductTransposed(out, "hh", _):
                    narrow.add(out)
        return widths | dict.fromkeys((*narrow, f"next_{first}"), "P")

    def made(self, inside: bool) -> Native:
        d, cell = self.derivation, self.cell
        states = {f"{s}_prev": Location(f"hist_{s}", Mode.PREVIOUS, 0, self.widths.get(s, "H")) for s in cell.state}
        news = {s: Location(f"hist_{s}", Mode.NEW, 0, self.widths.get(s, "H")) for s in cell.state}
        given = {
            n: Location(n, Mode.WHOLE, 0, self.widths.get(n, "H"))
            for st in (*d.forward, *d.recomputed, *d.backward)
            for n in names_in(st)
            if n == "x" or n.startswith(BESIDE)
        }
        own = self.own_parameters()
        inputs = {f"a_{g}_in": Location("A_ih", Mode.WHOLE, k) for k, g in enumerate(cell.input_gates)}
        scales = [n for st in d.forward if isinstance(st, Norm) for n in (st.scale,)]
        kept = {n: Location(n, Mode.WHOLE, 0, "1") for n in scales}
        for n in d.kept:
            if n not in scales and n not in inputs:
                width = self.widths.get(n, "H")
                array = f"kept_{width}"  # values of one width side by side
                kept[n] = Location(array, Mode.WHOLE, sum(h.array == array for h in kept.values()), width)
        steps = [st for st in d.forward if inside or not (isinstance(st, Product) and st.weight == "ih")]
        if inside:
            given["x"] = Location("x", Mode.WHOLE, 0, self.widths.get("x", "I"))

        def forward(keep: bool) -> Sweep:
            wanted = {s: [location] for s, location in news.items()}
            if inside and keep:
                wanted |= {name: [location] for name, location in inputs.items() if name in d.kept}
            for name, location in kept.items() if keep else ():
                wanted.setdefault(name, []).append(location)
            if not keep:
                wanted |= {name: [location] for name, location in kept.items() if name in scales}
            reads = {**states, **given, **own} | ({} if inside else inputs)
            return Sweeper(steps, reads, wanted, self.widths).sweep()

        back = kept | {n: location for n, location in inputs.items() if n in d.kept}
        return self.backward(forward(True), forward(False), {**states, **news, **given, **own, **back})

    def step(self) -> Sweep:
        """See `single_step`."""
        d, cell = self.derivation, self.cell
        reads = {f"{s}_prev": Location(s, Mode.BEFORE, 0, self.widths.get(s, "H")) for s in cell.state}
        for name in {n for st in d.forward for n in names_in(st)}:
            if name.startswith("mask_"):
                reads[name] = Location(name, Mode.PARAMETER, 0, self.widths.get(name, "H"))
            elif name.startswith("lower_"):
                reads[name] = Location(name, Mode.AFTER)
            elif name.startswith("given_"):
                reads[name] = Location(name, Mode.WHOLE, 0, self.widths.get(name, "H"))
        reads |= self.own_parameters() | {"x": Location("x", Mode.INPUT, 0, self.widths.get("x", "H"))}
        wanted = {s: [Location(s, Mode.AFTER, 0, self.widths.get(s, "H"))] for s in cell.state}
        wanted |= {st.scale: [Location(st.scale, Mode.SCRATCH, 0, "1")] for st in d.forward if isinstance(st, Norm)}
        return Sweeper(list(d.forward), reads, wanted, self.widths).sweep()

    def own_parameters(self) -> dict[str, Location]:
        """Where the cell's unit and scalar parameters are."""
        return {
            n: Location(n, *((Mode.PARAMETER, 0, self.widths.get(n, "H")) if p.op == "unit" else (Mode.SCALAR, 0, "1")))
            for n, p in self.cell.parameters.items()
        }

    def backward(self, forward: Sweep, inference: Sweep, reads: dict[str, Location]) -> Native:
        d, cell = self.derivation, self.cell
        reads = reads | {f"gy_{s}": Location(f"gy_{s}", Mode.WHOLE, 0, self.widths.get(s, "H")) for s in self.given}
        wanted: dict[str, list[Location]] = {}
        begin: list[Statement] = []
        for s in cell.state:
            width = self.widths.get(s, "H")
            reads[f"carry_{s}"] = Location(f"carry_{s}", Mode.CARRY, 0, width)
            arriving = symbol(f"carry_{s}") + (symbol(f"gy_{s}") if s in self.given else 0)
            begin.append(Pointwise(f"g_{s}", arriving))
        if self.record:
            first = f"g_{cell.state[0]}"
            wanted[first] = [Location(RECORDED, Mode.WHOLE, 0, self.widths.get(first, "H"))]
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
                wanted.setdefault(name, []).append(Location(*_place(place), self.widths.get(name, "H")))
                places.append(place)
            columns[weight] = tuple(places)
            argument = d.weight_gradients[weight][0]
            if argument not in reads:
                wanted.setdefault(argument, []).append(
                    Location(argument, Mode.WHOLE, 0, self.widths.get(argument, "H"))
                )
        sums: dict[str, str] = {}
        leaves: dict[str, str] = {}
        statements: list[Statement] = []
        for st in d.backward:
            if isinstance(st, ProductTransposed) and st.weight == "ih":
                continue
            statements.append(st)
        outer = {
            n for st in d.backward if isinstance(st, ProductTransposed) and st.weight == "ih" for n in names_out(st)
        }
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
                wanted.setdefault(name, []).append(Location(f"leaf_{leaf}", Mode.WHOLE, 0, self.widths.get(name, "H")))
        for s in cell.state:
            if f"{s}_prev" not in d.gradients:
                statements.append(Pointwise(f"next_{s}", sp.Integer(0) * symbol(f"carry_{s}")))
                wanted[f"next_{s}"] = [reads[f"carry_{s}"]]
        if cell.bias:
            for weight in ("hh", "ih"):
                for name in d.weight_gradients.get(weight, ("", ()))[1]:
                    self.total(wanted, sums, f"bias:{name}", name)
        sweeper = Sweeper([*begin, *d.recomputed, *statements], reads, wanted, self.widths)
        kept = {n: location for n, location in reads.items() if n in d.kept and location.array != "A_ih"}
        back = sweeper.sweep()
        reads_inputs = any(location.array == "A_ih" for op in back.ops if op.point for _, location in op.point.loads)
        return Native(d, forward, inference, back, columns, sums, leaves, kept, reads_inputs)

    def total(self, wanted: dict[str, list[Location]], sums: dict[str, str], leaf: str, name: str) -> None:
        """Let a gradient be summed over rows and steps."""
        array = f"sum_{name}"
        if leaf not in sums:
            sums[leaf] = array
            location = Location(array, Mode.ACCUMULATOR, 0, self.widths.get(name, "H"))
            if location not in wanted.setdefault(name, []):
                wanted[name].append(location)


def _place(place: tuple[str, int]) -> tuple[str, Mode, int]:
    return place[0], Mode.WHOLE, place[1]


def _without(st: Pointwise, names: Iterable[str]) -> Pointwise:
    """A sum without the terms that are added to it for all steps at once, after the loop."""
    gone = {symbol(n): sp.Integer(0) for n in names}
    return Pointwise(st.name, st.value.xreplace(gone))
