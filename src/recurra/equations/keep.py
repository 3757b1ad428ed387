"""Which values a forward keeps for its backward: a smallest vertex cut between what is expensive and what is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


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
    flow: set[tuple[tuple[str, int], tuple[str, int]]] = set()

    def onward(at: tuple[str, int]) -> list[tuple[str, int]]:
        name, side = at
        if side == 0:
            edges = [(name, 1)] if ((name, 0), (name, 1)) not in flow else []
            return edges + [(w, 1) for w in nodes if ((w, 1), (name, 0)) in flow]
        edges = [(r, 0) for r in readers.get(name, ()) if ((name, 1), (r, 0)) not in flow]
        return edges + ([(name, 0)] if ((name, 0), (name, 1)) in flow else [])

    def reach(starts: Iterable[str]) -> tuple[dict, tuple[str, int] | None]:
        came: dict[tuple[str, int], tuple[str, int] | None] = {(s, 0): None for s in starts}
        queue = list(came)
        for at in queue:
            if at[1] == 1 and at[0] in sinks:
                return came, at
            for to in onward(at):
                if to not in came:
                    came[to] = at
                    queue.append(to)
        return came, None

    started: set[str] = set()
    for source in sorted(sources):
        came, end = reach([source])
        if end is None:
            continue
        started.add(source)
        at: tuple[str, int] | None = end
        while at is not None and (before := came[at]) is not None:
            flow.symmetric_difference_update({(before, at)} if (at, before) not in flow else {(at, before)})
            at = before
    # From the sinks backwards: nodes whose out-side still reaches a sink lie behind the cut.
    behind = {n for n in nodes if reach_sink(n, onward, sinks)}
    return frozenset(n for n in nodes if n in behind and not _arrives(n, onward, sinks))


def reach_sink(name: str, onward: Callable, sinks: set[str]) -> bool:
    return _search((name, 1), onward, sinks)


def _arrives(name: str, onward: Callable, sinks: set[str]) -> bool:
    return _search((name, 0), onward, sinks)


def _search(start: tuple[str, int], onward: Callable, sinks: set[str]) -> bool:
    seen, queue = {start}, [start]
    for at in queue:
        if at[1] == 1 and at[0] in sinks:
            return True
        for to in onward(at):
            if to not in seen:
                seen.add(to)
                queue.append(to)
    return False
