"""A pass divided among processes: each takes a part of every batch, so that together they read the whole of it."""

from __future__ import annotations

from collections.abc import Sequence


def share_of(rows: Sequence[int], rank: int, size: int) -> tuple[list[int], bool]:
    """The rows of a batch that process `rank` of `size` takes, and whether they are counted.

    Every `size`-th is its own, so that like lengths are dealt out. A process that goes without, as there are fewer rows
    than processes, keeps step with the first, which does not count.
    """
    own = list(rows[rank::size])
    return own or list(rows[:1]), bool(own)
