"""Parts of answers on their way to a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.answers.pair import TOO_LARGE


def fit_maps(answers: Sequence[Sequence[Any]], most: int) -> None:
    """Leave out the maps with which those before them would have more than `most` cells."""
    cells = 0
    for part in (part for parts in answers for part in parts if part.get("map")):
        size = len(part["map"]["rows"]) * len(part["map"]["columns"])
        if cells + size > most:
            part["map"], part["map_left_out"] = None, TOO_LARGE
        else:
            cells += size
