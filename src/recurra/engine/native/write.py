"""Pointwise functions of a sweep as C++ on vectors."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.engine.native.infix import Infix
from recurra.engine.native.plan import Native
from recurra.engine.native.sweep import Location, Mode, Point
from recurra.equations.statements import Pointwise

HEAD = '#include "vec.h"\n'
CPP = Infix(number=lambda value: f"(REAL){value!r}", wide="all({})".format)


def points_of(native: Native) -> list[Point]:
    """The functions of all sweeps, in the order of their numbers; those that are the same in two stand once."""
    found = [
        op.point
        for sweep in (native.forward, native.inference, native.backward)
        for op in sweep.ops
        if op.point is not None
    ]
    return list(dict.fromkeys(found))


def write_points(points: Sequence[Point]) -> str:
    """The C++ text of the functions and of their table `recurra_points`."""
    names = ", ".join(f"point_{k}" for k in range(len(points)))
    table = (
        "typedef void (*Point)(REAL *const *, const long *, long, long);\n"
        f'extern "C" __attribute__((visibility("default"))) const Point recurra_points[] = {{{names or "nullptr"}}};\n'
    )
    return "\n".join((HEAD, *(write_point(k, p) for k, p in enumerate(points)), table))


def arguments(point: Point) -> list[Location | int]:
    """What a function's pointers are: locations, or places in the tile."""
    return [*(h for _, h in point.loads), *(k for _, k in point.tiles), *(h for _, h in point.stores)]


def write_point(number: int, point: Point) -> str:
    """`point_<number>(p, s, rows, units)`: whole vectors of every row, then what is left of it."""
    body: list[str] = []
    for k, (name, location) in enumerate(point.loads):
        value = f"all(p[{k}][0])" if location.mode is Mode.SCALAR else f"get(p{k} + u)"
        body.append(f"const V v_{name} = {value};")
    first = len(point.loads)
    for k, (name, _) in enumerate(point.tiles, first):
        body.append(f"const V v_{name} = get(p{k} + u);")
    for st in point.statements:
        assert isinstance(st, Pointwise)
        body.append(f"const V v_{st.name} = {CPP.vector(st.value)};")
    first += len(point.tiles)
    for k, (name, location) in enumerate(point.stores, first):
        added = f"get(p{k} + u) + v_{name}" if location.mode is Mode.ACCUMULATOR else f"v_{name}"
        body.append(f"put(p{k} + u, {added});")
    count = len(arguments(point))
    pointers = "\n".join(f"        REAL *const p{k} = p[{k}] + r * s[{k}];" for k in range(count))
    lines = "\n".join(f"            {line}" for line in body)
    return (
        f"static void point_{number}(REAL *const *p, const long *s, long rows, long units) {{\n"
        "    for (long r = 0; r < rows; r++) {\n"
        f"{pointers}\n"
        "        const auto at = [&](long u, auto get, auto put) __attribute__((always_inline)) {\n"
        f"{lines}\n"
        "        };\n"
        "        EVERY_UNIT(at)\n"
        "    }\n"
        "}\n"
    )
