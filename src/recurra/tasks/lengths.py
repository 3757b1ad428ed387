"""Examples by length, five steps a group."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 5
LAST = 50
"""What is longer is one group."""


def by_length(lengths: Sequence[int]) -> list[tuple[str, list[int]]]:
    """The groups "1–5", "6–10" … "over 50" that are not empty, the shortest first, each with its examples' places.

    An empty example is in the first one.
    """
    groups: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        groups.setdefault(min(max(length - 1, 0), LAST) // WIDTH, []).append(place)
    return [(_name(group), groups[group]) for group in sorted(groups)]


def _name(group: int) -> str:
    first = group * WIDTH + 1
    return f"over {LAST}" if first > LAST else f"{first}–{first + WIDTH - 1}"
