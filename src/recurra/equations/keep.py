"""Which values a forward keeps for its backward: a smallest vertex cut between what is expensive and what is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

Node = tuple[str, int]


def smallest_cut(
    needed: Iterable[str], cheap: Mapping[str, Iterable[str]], free: Callable[[str], bool]
) -> frozenset[str]:
    """Fewest names from which every needed one can be had again by cheap statements alone.

    `cheap` maps a value to the values its cheap statement reads; a value not in it can only be kept. Values for which
    `free` holds are at hand anyway. Menger's theorem: the cut is as large as the number of disjoint paths, found by
    augmenting (Ford & Fulkerson 1956); the cut chosen is the one nearest to the needed values.
    """
    sinks = {n for n in needed if not free(n)}
    readers: dict[str, set[str]] = {}
    nodes, todo = set(), list(sinks)
    while todo:
        name = todo.pop()
        if name in nodes:
            continue
        nodes.add(name)
        for argument in cheap.get(name, ()):
            if not free(argument):
                readers.setdefault(argument, set()).add(name)
                todo.append(argument)
    sources = {n for n in nodes if n not in cheap}

    # Every node is an edge (n, 0) → (n, 1) of capacity one; flow is the set of edges used.
    flow: set[tuple[Node, Node]] = set()

    def onward(at: Node) -> list[Node]:
        name, side = at
        if side == 0:
            edges = [(name, 1)] if ((name, 0), (name, 1)) not in flow else []
            return edges + [(w, 1) for w in nodes if ((w, 1), (name, 0)) in flow]
        edges = [(r, 0) for r in readers.get(name, ()) if ((name, 1), (r, 0)) not in flow]
        return edges + ([(name, 0)] if ((name, 0), (name, 1)) in flow else [])

    for source in sorted(sources):
        for before, at in pairwise(_path((source, 0), onward, sinks)):
            flow.symmetric_difference_update({(before, at)} if (at, before) not in flow else {(at, before)})
    # The cut: nodes from whose out-side a sink can still be reached, but not from their in-side.
    return frozenset(n for n in nodes if _path((n, 1), onward, sinks) and not _path((n, 0), onward, sinks))


def _path(start: Node, onward: Callable[[Node], Iterable[Node]], sinks: set[str]) -> list[Node]:
    """A shortest path from `start` to the out-side of a sink; empty if there is none."""
    came: dict[Node, Node | None] = {start: None}
    queue = [start]
    for at in queue:
        if at[1] == 1 and at[0] in sinks:
            path = [at]
            while (before := came[path[-1]]) is not None:
                path.append(before)
            return path[::-1]
        for to in onward(at):
            if to not in came:
                came[to] = at
                queue.append(to)
    return []
