"""A pass divided among processes: each takes a part of every batch, so that together they read the whole of it."""

from __future__ import annotations

from collections.abc import Sequence

Order = list[list[int]]
"""The rows of each batch."""


def shares(order: Sequence[Sequence[int]], rank: int, size: int) -> tuple[Order, frozenset[int]]:
    """The rows of each batch that process `rank` of `size` takes: every `size`-th, so that like lengths are dealt out.

    A batch with too few rows for all has its first for those that go without; gives the numbers of these batches too,
    in which nothing is counted.
    """
    dealt = [list(rows[rank::size]) for rows in order]
    idle = frozenset(k for k, rows in enumerate(dealt) if not rows)
    return [rows or list(order[k][:1]) for k, rows in enumerate(dealt)], idle
